package gossip

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

// The complaints that are logged: so many at once, and one more for each second.
const (
	complaintBurst = 3
	complaintPause = time.Second
)

// complaints passes on what serf and memberlist log, and bounds the rate of their warnings and errors: both write one
// for every packet that is none of theirs, so that any stranger on the network could fill the disk. What was left out is
// counted on the next line.
type complaints struct {
	out io.Writer
	now func() time.Time

	mu      sync.Mutex
	left    int
	filled  time.Time // when left was last added to
	omitted int
}

func newComplaints(out io.Writer, now func() time.Time) *complaints {
	return &complaints{out: out, now: now, left: complaintBurst, filled: now()}
}

// Write implements io.Writer for one line of a log.Logger.
func (c *complaints) Write(line []byte) (int, error) {
	if !bytes.HasPrefix(line, []byte("[WARN]")) && !bytes.HasPrefix(line, []byte("[ERR")) {
		return c.out.Write(line)
	}
	pass, omitted := c.take()
	if !pass {
		return len(line), nil
	}
	if omitted > 0 {
		line = fmt.Appendf(nil, "%s (%d more were not logged)\n", bytes.TrimRight(line, "\n"), omitted)
	}
	return c.out.Write(line)
}

// take tells whether a complaint may be logged, and how many were not since the last.
func (c *complaints) take() (pass bool, omitted int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := int(c.now().Sub(c.filled) / complaintPause); n > 0 {
		c.left = min(c.left+n, complaintBurst)
		c.filled = c.filled.Add(time.Duration(n) * complaintPause)
	}
	if c.left == 0 {
		c.omitted++
		return false, 0
	}
	c.left--
	omitted, c.omitted = c.omitted, 0
	return true, omitted
}

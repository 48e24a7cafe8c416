package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lictor-mesh/lictor/agent/config"
)

// gatedWriter keeps what is written until it is opened, and passes it on from then on.
type gatedWriter struct {
	mu     sync.Mutex
	out    io.Writer
	held   []byte
	opened bool
}

// Write implements io.Writer.
func (g *gatedWriter) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened {
		return g.out.Write(p)
	}
	g.held = append(g.held, p...)
	return len(p), nil
}

func (g *gatedWriter) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened {
		return
	}
	g.opened = true
	_, _ = g.out.Write(g.held) // a log that cannot be written has nowhere to complain
	g.held = nil
}

// logOutput returns where the log goes: stdout, and the file that the configuration names.
func logOutput(stdout io.Writer, c config.Log) (out io.Writer, closeLog func(), err error) {
	if c.File == "" {
		return stdout, func() {}, nil
	}
	f, err := openLogFile(c, time.Now)
	if err != nil {
		return nil, nil, fmt.Errorf("log_file %s cannot be written: %w", c.File, err)
	}
	return io.MultiWriter(stdout, f), f.close, nil
}

// logFile is a log that rotates. Its files are NAME-<time in ns>.EXT, as Consul names them; the newest is written to.
type logFile struct {
	conf        config.Log
	now         func() time.Time
	dir         string
	prefix, ext string

	mu      sync.Mutex
	file    *os.File // nil after a failed rotation
	size    int64
	created time.Time
}

func openLogFile(c config.Log, now func() time.Time) (*logFile, error) {
	dir, name := filepath.Split(c.File)
	if stat, err := os.Stat(c.File); err == nil && stat.IsDir() {
		dir, name = c.File, ""
	}
	name = cmp.Or(name, "lictor.log")
	l := &logFile{conf: c, now: now, dir: filepath.Clean(cmp.Or(dir, ".")), ext: cmp.Or(filepath.Ext(name), ".log")}
	l.prefix = strings.TrimSuffix(name, filepath.Ext(name)) + "-"
	return l, l.next()
}

// next opens a new file and removes those that are too many.
func (l *logFile) next() error {
	l.created = l.now()
	path := filepath.Join(l.dir, l.prefix+strconv.FormatInt(l.created.UnixNano(), 10)+l.ext)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	l.file, l.size = f, 0
	return l.prune(path)
}

// prune removes the oldest files beyond log_rotate_max_files; 0 keeps all, below 0 only the current one.
func (l *logFile) prune(current string) error {
	keep := l.conf.RotateMaxFiles
	if keep == 0 {
		return nil
	}
	old, err := filepath.Glob(filepath.Join(l.dir, l.prefix+"*"+l.ext))
	if err != nil {
		return err
	}
	old = slices.DeleteFunc(old, func(path string) bool { return path == current })
	slices.Sort(old) // the time in the name has the same number of digits in all of them
	var failed error
	for len(old) > max(keep, 0) {
		failed = errors.Join(failed, os.Remove(old[0]))
		old = old[1:]
	}
	return failed
}

// Write implements io.Writer. A file that cannot be rotated loses lines, and never stops the agent.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	full := l.conf.RotateBytes > 0 && l.size > 0 && l.size+int64(len(p)) > l.conf.RotateBytes
	aged := l.conf.RotateDuration > 0 && l.now().Sub(l.created) >= l.conf.RotateDuration
	if l.file == nil || full || aged {
		if l.file != nil {
			_ = l.file.Close()
			l.file = nil
		}
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(p)
	l.size += int64(n)
	return n, err
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close()
	}
}

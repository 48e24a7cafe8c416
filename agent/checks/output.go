package checks

import "fmt"

// output is a writer that keeps the first limit bytes and counts the rest.
type output struct {
	limit int
	kept  []byte
	total int
}

// Write implements io.Writer; it takes everything.
func (o *output) Write(p []byte) (int, error) {
	o.total += len(p)
	if room := o.limit - len(o.kept); room > 0 {
		o.kept = append(o.kept, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// String is what was kept, with a note of what was not.
func (o *output) String() string {
	if o.total <= o.limit {
		return string(o.kept)
	}
	return fmt.Sprintf("%s ... (captured %d of %d bytes)", o.kept, o.limit, o.total)
}

// Truncate bounds text to limit bytes (0 is DefaultOutputMaxSize); what was longer ends with a note of how
// much there was.
func Truncate(text string, limit int) string {
	if limit <= 0 {
		limit = DefaultOutputMaxSize
	}
	if len(text) <= limit {
		return text
	}
	o := output{limit: limit}
	_, _ = o.Write([]byte(text))
	return o.String()
}

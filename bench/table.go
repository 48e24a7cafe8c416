package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// table is what one bench found.
type table struct {
	title string
	// note says how to read it: what was done, and what the columns are.
	note   string
	header []string
	rows   [][]string
}

// add appends a row; numbers are formatted by the caller, who knows their precision.
func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// text aligns the columns for a terminal.
func (t *table) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", t.title)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range append([][]string{t.header}, t.rows...) {
		// Its first cell is a name and stands on the left, by padding that the writer does not count as a column.
		fmt.Fprintf(w, "  %-*s\t%s\t\n", t.nameWidth(), row[0], strings.Join(row[1:], "\t"))
	}
	_ = w.Flush()
	return b.String()
}

func (t *table) nameWidth() (n int) {
	for _, row := range append([][]string{t.header}, t.rows...) {
		n = max(n, len(row[0]))
	}
	return n
}

func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", t.title)
	if t.note != "" {
		fmt.Fprintf(&b, "%s\n\n", t.note)
	}
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.header)
	rule := []string{"---"}
	for range t.header[1:] {
		rule = append(rule, "---:")
	}
	line(rule)
	for _, row := range t.rows {
		line(row)
	}
	return b.String()
}

// report is all that a run found.
type report struct {
	machine        [][2]string
	rounds, others string
	tables         []*table
	skipped        []string
}

// facts are the lines below the machine: what makes the figures weaker.
func (r *report) facts() (lines []string) {
	lines = append(lines, r.rounds)
	if r.others != "" {
		lines = append(lines, r.others)
	}
	return append(lines, r.skipped...)
}

// text is the end of a report whose tables were printed as they came.
func (r *report) text() string {
	var b strings.Builder
	for _, l := range r.machine {
		fmt.Fprintf(&b, "%-8s %s\n", l[0], l[1])
	}
	for _, l := range r.facts() {
		fmt.Fprintf(&b, "%s\n", l)
	}
	return b.String()
}

func (r *report) markdown() string {
	var b strings.Builder
	for _, l := range r.machine {
		fmt.Fprintf(&b, "* %s: %s\n", l[0], l[1])
	}
	for _, l := range r.facts() {
		fmt.Fprintf(&b, "* %s\n", l)
	}
	for _, t := range r.tables {
		fmt.Fprintf(&b, "\n%s", t.markdown())
	}
	return b.String()
}

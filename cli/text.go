package cli

import (
	"strings"
	"unicode/utf8"
)

// textWidth is the column at which help is wrapped.
const textWidth = 80

// columns lays rows out left-aligned with two spaces between columns; the last cell of a row is not padded.
func columns(rows [][]string) string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for r, row := range rows {
		if r > 0 {
			b.WriteByte('\n')
		}
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
	}
	return b.String()
}

// wrap breaks text at textWidth and indents every line. Lines that begin with two spaces stay as they are.
func wrap(text, indent string) string {
	var out []string
	line := ""
	flush := func() {
		if line != "" {
			out = append(out, indent+line)
		}
		line = ""
	}
	for _, given := range strings.Split(text, "\n") {
		if strings.HasPrefix(given, "  ") {
			flush()
			out = append(out, indent+given)
			continue
		}
		for _, word := range strings.Fields(given) {
			if line != "" && len(indent)+len(line)+1+len(word) > textWidth {
				flush()
			}
			if line != "" {
				line += " "
			}
			line += word
		}
	}
	flush()
	return strings.Join(out, "\n")
}

// nearest returns the name that word was most likely meant to be, "" when none is near.
func nearest(word string, names []string) string {
	best, bestAt := "", 1+len(word)/3
	for _, name := range names {
		if d := distance(word, name); d <= bestAt && (best == "" || d < bestAt) {
			best, bestAt = name, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace to turn a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

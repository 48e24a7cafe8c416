package tree

import "strings"

// Nearest returns the candidate that key was most likely meant to be: the one at the smallest edit distance,
// when that is small for the key's length. Ties go to the first candidate.
func Nearest(key string, candidates []string) (string, bool) {
	key = strings.ToLower(key)
	best, limit := "", max(1, min(4, len(key)/2))
	for _, c := range candidates {
		if strings.ReplaceAll(c, "_", "") == strings.ReplaceAll(key, "_", "") {
			return c, true
		}
		if d := distance(key, strings.ToLower(c), limit); d <= limit {
			best, limit = c, d-1
		}
	}
	return best, best != ""
}

// distance is the Levenshtein distance of a and b (https://en.wikipedia.org/wiki/Levenshtein_distance), or
// more than limit when it is greater than that.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			substitute := diagonal
			if a[i-1] != b[j-1] {
				substitute++
			}
			diagonal = row[j]
			row[j] = min(substitute, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

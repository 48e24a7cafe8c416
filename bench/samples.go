package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// samples are the results of rounds, by contender and by what was measured.
type samples map[string]map[string][]float64

func (s samples) add(contender, what string, value float64) {
	if s[contender] == nil {
		s[contender] = map[string][]float64{}
	}
	s[contender][what] = append(s[contender][what], value)
}

// median returns the middle of what was measured; NaN where nothing was.
func (s samples) median(contender, what string) float64 { return median(s[contender][what]) }

// ratio returns the median of the ratios round by round, as a cell: contenders of one round ran one after another, so that
// what else the machine did counts for both.
func (s samples) ratio(contender, to, what string) string {
	a, b := s[contender][what], s[to][what]
	var ratios []float64
	for i := range min(len(a), len(b)) {
		ratios = append(ratios, a[i]/b[i])
	}
	return cell("%.2fx", median(ratios))
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// percentile returns the smallest value that is not below the share p of all (0 < p <= 1); the values are sorted.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	i := int(math.Ceil(p*float64(len(sorted)))) - 1
	return sorted[max(0, min(i, len(sorted)-1))]
}

// The cells of tables. NaN is a dash: it was not measured.

func cell(format string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

// whole groups the digits of a number in threes.
func whole(v float64) string {
	s := cell("%.0f", v)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func millis(v float64) string { return cell("%.2f", v) }

func mebibytes(v float64) string { return cell("%.1f", v/(1<<20)) }

func inMillis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func least(values []float64) float64 { return slices.Min(values) }

func greatest(values []float64) float64 { return slices.Max(values) }

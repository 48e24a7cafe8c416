package model

import (
	"math"
	"time"
)

// Coordinate is a node's place in the network of its pool, from which round trips are estimated (Dabek and
// others, "Vivaldi: A Decentralized Network Coordinate System", 2004). Lengths are seconds.
type Coordinate struct {
	Vec        []float64 `msg:"v"`
	Error      float64   `msg:"e"`
	Adjustment float64   `msg:"a"`
	Height     float64   `msg:"h"`
}

// Valid tells whether every component is a number.
func (c *Coordinate) Valid() bool {
	for _, f := range append([]float64{c.Error, c.Adjustment, c.Height}, c.Vec...) {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return false
		}
	}
	return len(c.Vec) > 0
}

// RoundTrip estimates the time of a round trip between two places; false when they have no common space.
func (c *Coordinate) RoundTrip(o *Coordinate) (time.Duration, bool) {
	if c == nil || o == nil || len(c.Vec) != len(o.Vec) || len(c.Vec) == 0 {
		return 0, false
	}
	sum := 0.0
	for i := range c.Vec {
		d := c.Vec[i] - o.Vec[i]
		sum += d * d
	}
	seconds := math.Sqrt(sum) + c.Height + o.Height
	if adjusted := seconds + c.Adjustment + o.Adjustment; adjusted > 0 {
		seconds = adjusted
	}
	return time.Duration(seconds * float64(time.Second)), true
}

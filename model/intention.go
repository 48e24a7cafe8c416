package model

import (
	"maps"
	"slices"
	"time"
)

// Action is what an intention does with a connection or request.
type Action string

// The actions of an intention.
const (
	ActionAllow Action = "allow"
	ActionDeny  Action = "deny"
)

// Intention allows or denies connections from one service to another. Source and destination identify
// it; either may be Wildcard.
type Intention struct {
	SourceName      ServiceName           `msg:"s"`
	SourcePeer      string                `msg:"sp,omitempty"`
	DestinationName ServiceName           `msg:"d"`
	SourceType      string                `msg:"ty,omitempty"`
	Action          Action                `msg:"a,omitempty"`
	Permissions     []IntentionPermission `msg:"p,omitempty"`
	JWT             *IntentionJWT         `msg:"j,omitempty"`
	Description     string                `msg:"de,omitempty"`
	Meta            map[string]string     `msg:"m,omitempty"`
	// Precedence is derived from the names: the higher decides (9 exact to exact, 8, 6, 5 any to any).
	Precedence int `msg:"pr"`
	// ID, CreatedAt and UpdatedAt are set on intentions made by the legacy API only.
	ID          string      `msg:"id,omitempty"`
	CreatedAt   time.Time   `msg:"ca,omitempty"`
	UpdatedAt   time.Time   `msg:"ua,omitempty"`
	RaftIndexes RaftIndexes `msg:"ix,omitempty"`
}

// Clone returns a copy that shares nothing mutable with i.
func (i *Intention) Clone() *Intention {
	c := *i
	c.Meta = maps.Clone(i.Meta)
	c.Permissions = slices.Clone(i.Permissions)
	return &c
}

// IntentionPermission is a rule on requests; the first that matches decides.
type IntentionPermission struct {
	Action Action                   `msg:"a"`
	HTTP   *IntentionHTTPPermission `msg:"h,omitempty"`
	JWT    *IntentionJWT            `msg:"j,omitempty"`
}

// IntentionHTTPPermission says which requests a permission is about.
type IntentionHTTPPermission struct {
	PathExact  string                          `msg:"pe,omitempty"`
	PathPrefix string                          `msg:"pp,omitempty"`
	PathRegex  string                          `msg:"pr,omitempty"`
	Header     []IntentionHTTPHeaderPermission `msg:"h,omitempty"`
	Methods    []string                        `msg:"m,omitempty"`
}

// IntentionHTTPHeaderPermission matches one request header.
type IntentionHTTPHeaderPermission struct {
	Name       string `msg:"n"`
	Present    bool   `msg:"p,omitempty"`
	Exact      string `msg:"e,omitempty"`
	Prefix     string `msg:"x,omitempty"`
	Suffix     string `msg:"s,omitempty"`
	Contains   string `msg:"c,omitempty"`
	Regex      string `msg:"r,omitempty"`
	Invert     bool   `msg:"i,omitempty"`
	IgnoreCase bool   `msg:"ic,omitempty"`
}

// IntentionJWT demands a valid JSON web token of one of some providers.
type IntentionJWT struct {
	Providers []IntentionJWTProvider `msg:"p,omitempty"`
}

// IntentionJWTProvider names a jwt-provider and the claims it must have vouched for.
type IntentionJWTProvider struct {
	Name         string                    `msg:"n"`
	VerifyClaims []IntentionJWTClaimVerify `msg:"v,omitempty"`
}

// IntentionJWTClaimVerify demands that the claim at Path has Value.
type IntentionJWTClaimVerify struct {
	Path  []string `msg:"p"`
	Value string   `msg:"v"`
}

// IntentionSet is all intentions with one destination: what is written and read together, and what the
// config entry kind service-intentions shows.
type IntentionSet struct {
	DestinationName ServiceName       `msg:"d"`
	Sources         []*Intention      `msg:"s"`
	JWT             *IntentionJWT     `msg:"j,omitempty"`
	Meta            map[string]string `msg:"m,omitempty"`
	RaftIndexes     RaftIndexes       `msg:"ix,omitempty"`
}

package model

// MemberStatus is the state of a member of a gossip pool, numbered as in the HTTP API.
type MemberStatus int

// The states of a member.
const (
	MemberNone MemberStatus = iota
	MemberAlive
	MemberLeaving
	MemberLeft
	MemberFailed
)

// String returns the word that the members command prints.
func (s MemberStatus) String() string {
	return [...]string{"none", "alive", "leaving", "left", "failed"}[s]
}

// Member is a member of a gossip pool.
type Member struct {
	Name        NodeName          `msg:"n"`
	Addr        string            `msg:"a"`
	Port        uint16            `msg:"p"`
	Tags        map[string]string `msg:"t"`
	Status      MemberStatus      `msg:"s"`
	ProtocolMin uint8             `msg:"pmi"`
	ProtocolMax uint8             `msg:"pma"`
	ProtocolCur uint8             `msg:"pcu"`
	DelegateMin uint8             `msg:"dmi"`
	DelegateMax uint8             `msg:"dma"`
	DelegateCur uint8             `msg:"dcu"`
}

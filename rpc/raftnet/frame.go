package raftnet

import (
	"github.com/hashicorp/raft"

	"github.com/lictor-mesh/lictor/model/fault"
)

// frame is a piece of a message, or of a snapshot: a flag byte, then the bytes.
type frame struct {
	flag byte
	data []byte
}

const (
	// flagLast ends a message.
	flagLast byte = iota
	// flagMore is followed by further frames of the message.
	flagMore
	// flagError is an answer that is an error; its text is data.
	flagError
)

const (
	// maxFrame is the largest piece, well below what the RPC server takes as one message.
	maxFrame = 1 << 20
	// maxMessage bounds a message of several frames: Raft sends up to 64 entries at once, each somewhat over 1 MiB at most.
	maxMessage = 256 << 20
)

// Segments implements rpc.Segmented: the bytes are not copied into the message.
func (f *frame) Segments() (head, tail []byte, err error) { return []byte{f.flag}, f.data, nil }

// UnmarshalMsg implements msgp.Unmarshaler, as the codec reads messages by it.
func (f *frame) UnmarshalMsg(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, fault.New(fault.BadRequest, "empty Raft frame")
	}
	f.flag, f.data = b[0], b[1:]
	return nil, nil
}

// sender and receiver are the ends of gRPC's streams, whichever side.
type (
	sender   interface{ SendMsg(m any) error }
	receiver interface{ RecvMsg(m any) error }
)

// sendMessage cuts a message into frames.
func sendMessage(s sender, b []byte) error {
	for len(b) > maxFrame {
		if err := s.SendMsg(&frame{flagMore, b[:maxFrame]}); err != nil {
			return err
		}
		b = b[maxFrame:]
	}
	return s.SendMsg(&frame{flagLast, b})
}

// receiveMessage puts a message together again.
func receiveMessage(r receiver) ([]byte, error) {
	var whole []byte
	for {
		var f frame
		if err := r.RecvMsg(&f); err != nil {
			return nil, err
		}
		if whole == nil && f.flag == flagLast {
			return f.data, nil
		}
		if len(whole)+len(f.data) > maxMessage {
			return nil, fault.New(fault.TooLarge, "Raft message of more than %d bytes", maxMessage)
		}
		whole = append(whole, f.data...)
		switch f.flag {
		case flagLast:
			return whole, nil
		case flagMore:
		default:
			return nil, fault.New(fault.BadRequest, "Raft frame with the flag %d", f.flag)
		}
	}
}

// answer is Raft's answer as a frame.
func answerFrame(b []byte, err error) *frame {
	if err != nil {
		return &frame{flagError, []byte(err.Error())}
	}
	return &frame{flagLast, b}
}

// bodyOf returns an answer's bytes, or its error. Raft itself decides nothing on that error's text but
// whether the peer knows pre-votes, which every peer of ours does.
func (f *frame) bodyOf() ([]byte, error) {
	if f.flag == flagError {
		return nil, fault.New(fault.Unavailable, "%s", f.data)
	}
	return f.data, nil
}

// isHeartbeat tells a heartbeat from an append by what Raft leaves out of it, as its own transport does.
func isHeartbeat(m *raft.AppendEntriesRequest) bool {
	return m.Term != 0 && len(m.Addr) > 0 && m.PrevLogEntry == 0 && m.PrevLogTerm == 0 && len(m.Entries) == 0 && m.LeaderCommitIndex == 0
}

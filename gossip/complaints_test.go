package gossip

import (
	"fmt"
	"log"
	"strings"
	"testing"
	"time"
)

func TestStrangersCannotFillTheLog(t *testing.T) {
	var out strings.Builder
	now := time.Unix(1000, 0)
	logger := log.New(newComplaints(&out, func() time.Time { return now }), "", 0)
	for range 10 {
		for i := range 100 {
			logger.Printf("[ERR] memberlist: msg type (%d) not supported", i)
		}
		now = now.Add(time.Second)
	}
	logger.Printf("[WARN] serf: last")
	if n := strings.Count(out.String(), "\n"); n != complaintBurst+10 {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
	if want := fmt.Sprintf("last (%d more were not logged)\n", 99); !strings.HasSuffix(out.String(), want) {
		t.Errorf("the count is not in:\n%s", out.String())
	}
	out.Reset()
	for range 100 {
		logger.Printf("[INFO] serf: EventMemberJoin")
	}
	if n := strings.Count(out.String(), "\n"); n != 100 {
		t.Errorf("%d of 100 lines that complain about nothing", n)
	}
}

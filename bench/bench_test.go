package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMedianAndPercentile(t *testing.T) {
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("median of three: %v", got)
	}
	if got := median([]float64{4, 1, 2, 9}); got != 3 {
		t.Errorf("median of four: %v", got)
	}
	if !math.IsNaN(median(nil)) {
		t.Error("the median of nothing is a number")
	}
	var sorted []time.Duration
	for i := range 100 {
		sorted = append(sorted, time.Duration(i+1))
	}
	for p, want := range map[float64]time.Duration{0.5: 50, 0.99: 99, 1: 100, 0.001: 1} {
		if got := percentile(sorted, p); got != want {
			t.Errorf("percentile %v is %d, want %d", p, got, want)
		}
	}
}

func TestCells(t *testing.T) {
	for want, got := range map[string]string{
		"0": whole(0.2), "999": whole(999), "1,000": whole(999.6), "1,234,567": whole(1234567), "-1,000": whole(-1000), "-": whole(math.NaN()),
		"1.5": mebibytes(1.5 * (1 << 20)),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	s := samples{}
	for _, noise := range []float64{1, 5, 2} { // what slows both down leaves the ratio as it is
		s.add("a", "rate", 300/noise)
		s.add("b", "rate", 150/noise)
	}
	if got := s.ratio("a", "b", "rate"); got != "2.00x" {
		t.Errorf("ratio %s", got)
	}
	if got := s.ratio("a", "absent", "rate"); got != "-" {
		t.Errorf("a ratio to nothing is %q", got)
	}
}

func TestRoundsAlternateTheOrder(t *testing.T) {
	var order []string
	if err := rounds(t.Context(), 3, []string{"a", "b", "c"}, func(s string) error { order = append(order, s); return nil }); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "abccbaabc" {
		t.Errorf("order %s", got)
	}
	broken := errors.New("broken")
	if err := rounds(t.Context(), 3, []int{1}, func(int) error { return broken }); err != broken {
		t.Errorf("an error became %v", err)
	}
}

func TestUnknownBenchIsNamedWithThoseThatExist(t *testing.T) {
	_, err := choose(benches(), "dns,dance")
	if err == nil || !strings.Contains(err.Error(), `"dance"`) || !strings.Contains(err.Error(), "keepalive") {
		t.Errorf("error %v", err)
	}
	list, err := choose(benches(), "dns,bulk")
	if err != nil || !slices.Equal(names(list), []string{"dns", "bulk"}) {
		t.Errorf("chosen %v, %v", names(list), err)
	}
}

func TestTableForms(t *testing.T) {
	tab := &table{title: "T", note: "N.", header: []string{"what", "n"}}
	tab.add("one", "1")
	tab.add("twenty", "20")
	if want := "## T\n\nN.\n\n| what | n |\n| --- | ---: |\n| one | 1 |\n| twenty | 20 |\n"; tab.markdown() != want {
		t.Errorf("markdown\n%s", tab.markdown())
	}
	if want := "T\n    what     n\n    one      1\n    twenty  20\n"; tab.text() != want {
		t.Errorf("text\n%q", tab.text())
	}
}

func TestClientReadsWholeAnswers(t *testing.T) {
	text := "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX-Consul-Index: 17\r\n\r\nhello" +
		"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n" +
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" +
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"
	c := &client{in: bufio.NewReaderSize(strings.NewReader(text), 128)}
	for _, want := range []response{{200, 5, 17}, {404, 7, 0}, {200, 0, 0}} {
		if got, err := c.read(); err != nil || got != want {
			t.Fatalf("read %v, %v; want %v", got, err, want)
		}
	}
	if _, err := c.read(); err == nil {
		t.Error("an answer that is cut off was taken as whole")
	}
	for _, broken := range []string{"SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"} {
		if _, err := (&client{in: bufio.NewReader(strings.NewReader(broken))}).read(); err == nil {
			t.Errorf("%q was taken as an answer", broken)
		}
	}
}

func TestLoadCountsAnswersAndReportsFailures(t *testing.T) {
	r := &rig{}
	b, err := newBackend(r)
	if err != nil {
		t.Fatal(err)
	}
	defer r.closeContenders()
	for name, worker := range map[string]func(int) (func() (response, error), func(), error){
		"keep-alive": keepAlive(b.addr(), same(get("h", "/"))), "reconnecting": reconnecting(b.addr(), get("h", "/")),
	} {
		o, err := (&load{workers: 3, span: 50 * time.Millisecond, worker: worker}).run(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if o.requests == 0 || o.requests != len(o.latencies) || o.last.size != answerSize || !slices.IsSorted(o.latencies) {
			t.Errorf("%s: %d requests, %d latencies, last %v", name, o.requests, len(o.latencies), o.last)
		}
	}
	r.closeContenders()
	if _, err := (&load{workers: 3, span: time.Minute, worker: keepAlive(b.addr(), same(get("h", "/")))}).run(t.Context()); err == nil {
		t.Error("a load without a server has no error")
	}
}

func TestBackendSendsAllOfTheBulk(t *testing.T) {
	r := &rig{}
	b, err := newBackend(r)
	if err != nil {
		t.Fatal(err)
	}
	defer r.closeContenders()
	c, err := dial(b.addr(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for range 2 {
		if got, err := answered(c.exchange(get("h", bulkPath))); err != nil || got.size != bulkSize {
			t.Fatalf("%v, %v", got, err)
		}
	}
}

func TestFloorWakesWatchersOfAChange(t *testing.T) {
	f := newFloor()
	s := httptest.NewServer(f)
	defer s.Close()
	c, err := dial(strings.TrimPrefix(s.URL, "http://"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	w := &watcher{c: c, host: "h"}
	if err := w.first(); err != nil {
		t.Fatal(err)
	}
	if err := w.park(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	target := &server{http: strings.TrimPrefix(s.URL, "http://")}
	if err := target.put("/v1/catalog/register", instance("web", 1, "2")); err != nil {
		t.Fatal(err)
	}
	if err := w.hear(); err != nil || w.heard.Before(began) || w.index != 2 {
		t.Errorf("heard %v of index %d, %v", w.heard, w.index, err)
	}
}

func TestPortsAreFreeAndDistinct(t *testing.T) {
	ports, err := freePorts(5)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 5 {
		t.Errorf("ports %v", ports)
	}
	l, err := net.Listen("tcp", loopback(ports[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if free(ports[0]) {
		t.Error("a port in use counts as free")
	}
}

func TestMissingPackagesAreNamedOnceAndSkipped(t *testing.T) {
	r := &rig{dir: t.TempDir()}
	defer r.closeContenders()
	absent := pairKind{name: "absent", missing: func() []string { return []string{"absent-package"} },
		start: func(context.Context, *rig, string, string) (*pair, error) { return nil, errors.New("was started") }}
	for range 2 {
		pairs, err := startPairs(t.Context(), r, "", []pairKind{absent})
		if err != nil || len(pairs) != 0 {
			t.Fatalf("%v, %v", pairs, err)
		}
	}
	if len(r.skipped) != 1 || !strings.Contains(r.skipped[0], "absent-package") {
		t.Errorf("skipped %q", r.skipped)
	}
}

func TestPeersCertificatesVerifyEachOther(t *testing.T) {
	dir := t.TempDir()
	f, err := newPeerFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{f.root, f.clientBoth, f.serverBoth, f.openssl} {
		if readFile(name) == "unknown" {
			t.Errorf("%s was not written", name)
		}
	}
	if err := mutual(f); err != nil {
		t.Error(err)
	}
}

// mutual makes one handshake with both sides' files, as the peers are told to.
func mutual(f *peerFiles) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(readFile(f.root)))
	client, err := tls.LoadX509KeyPair(f.clientCert, f.clientKey)
	if err != nil {
		return err
	}
	server, err := tls.LoadX509KeyPair(f.serverBoth, f.serverBoth)
	if err != nil {
		return err
	}
	a, b := net.Pipe()
	defer func() { _, _ = a.Close(), b.Close() }()
	accepted := make(chan error, 1)
	go func() {
		accepted <- tls.Server(b, &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
			SessionTicketsDisabled: true}).Handshake()
	}()
	if err := tls.Client(a, &tls.Config{Certificates: []tls.Certificate{client}, RootCAs: pool, ServerName: "db"}).Handshake(); err != nil {
		return err
	}
	return <-accepted
}

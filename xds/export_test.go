package xds

// HoldFirst occupies every place among the first responses until the returned function is called.
func (s *Server) HoldFirst() func() {
	for range cap(s.first) {
		s.first <- struct{}{}
	}
	return func() {
		for range cap(s.first) {
			<-s.first
		}
	}
}

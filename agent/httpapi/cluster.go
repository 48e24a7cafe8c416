package httpapi

// The endpoints about the servers themselves.

func (a *API) statusLeader(x *exchange) error {
	addr, err := a.ControlPlane.Leader(x.r.Context(), x.req)
	if err != nil {
		return err
	}
	return x.json(a, appendString(nil, addr))
}

func (a *API) statusPeers(x *exchange) error {
	list, err := a.ControlPlane.Peers(x.r.Context(), x.req)
	if err != nil {
		return err
	}
	return x.json(a, appendStrings(nil, list))
}

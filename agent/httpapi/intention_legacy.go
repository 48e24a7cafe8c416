package httpapi

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"

	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// The deprecated endpoints that name intentions by id.

// legacyBody decodes a body; its errors are the server's here, as recorded.
func (x *exchange) legacyBody() (*model.Intention, error) {
	body, err := x.body()
	if err != nil {
		return nil, err
	}
	i := new(model.Intention)
	if err := decodeBody(body, intentionKeys(i)); err != nil {
		_, cause, _ := strings.Cut(err.Error(), ": ")
		return nil, fault.New(fault.Invalid, "Failed to decode request body: %s", cause)
	}
	return i, nil
}

// newID returns a random UUID (RFC 9562, version 4).
func newID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // it never fails: it ends the process instead
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func (a *API) intentionCreate(x *exchange) error {
	if err := a.connectOn(); err != nil {
		return err
	}
	i, err := x.legacyBody()
	if err != nil {
		return err
	}
	switch {
	case i.ID != "":
		return fault.New(fault.Invalid, "ID must be empty when creating a new intention")
	case i.DestinationName == "":
		// Who names no destination has no right to it, as recorded.
		return fault.New(fault.Permission, "Permission denied").WithHint("set DestinationName")
	}
	i.ID = newID()
	return a.writeLegacy(x, command.IntentionLegacyCreate, i)
}

func (a *API) writeLegacy(x *exchange, op command.IntentionOp, i *model.Intention) error {
	if _, err := a.ControlPlane.Apply(x.r.Context(), x.req, &command.Intention{Op: op, Intention: *i}); err != nil {
		return err
	}
	o := beginObject(nil)
	o.text("ID", i.ID)
	return x.json(a, o.end())
}

// legacyID checks the id in the path.
func (x *exchange) legacyID() (string, error) {
	if x.rest == "" {
		return "", bad("Missing intention ID")
	}
	if len(x.rest) != 36 {
		return "", bad("failed config entry lookup: index error: UUID must be 36 characters")
	}
	return x.rest, nil
}

func (a *API) intentionByID(x *exchange) error {
	id, err := x.legacyID()
	if err != nil {
		return err
	}
	req := x.req
	req.Read.MinIndex = 0
	r, _, err := a.ControlPlane.Read(x.r.Context(), req, a.Reads.Intentions.Query(view.None{}), FromServer)
	if err != nil {
		return err
	}
	for _, i := range *a.Reads.Intentions.Value(r) {
		if strings.EqualFold(i.ID, id) {
			return x.json(a, appendIntention(nil, i))
		}
	}
	return notFoundIntention()
}

func (a *API) intentionUpdate(x *exchange) error {
	id, err := x.legacyID()
	if err != nil {
		return err
	}
	i, err := x.legacyBody()
	if err != nil {
		return err
	}
	i.ID = id
	return a.writeLegacy(x, command.IntentionLegacyUpdate, i)
}

func (a *API) intentionDelete(x *exchange) error {
	id, err := x.legacyID()
	if err != nil {
		return err
	}
	c := &command.Intention{Op: command.IntentionLegacyDelete, Intention: model.Intention{ID: id}}
	if _, err := a.ControlPlane.Apply(x.r.Context(), x.req, c); err != nil {
		return &statusError{http.StatusInternalServerError, err}
	}
	return x.done(a)
}

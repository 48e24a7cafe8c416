package xds

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// maxEscape bounds the JSON of one escape hatch, in bytes.
const maxEscape = 256 << 10

// parseEscape reads a message that an operator wrote as Envoy JSON, with or without "@type" at its top. The
// types of nested typed_config must be among those that this program links; they are validated too.
func parseEscape(text string, into proto.Message) error {
	if len(text) > maxEscape {
		return fmt.Errorf("%d bytes are more than the limit of %d", len(text), maxEscape)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return fmt.Errorf("not a JSON object: %v", err)
	}
	delete(fields, "@type")
	plain, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	if err := protojson.Unmarshal(plain, into); err != nil {
		return err
	}
	if err := validate(into); err != nil {
		return err
	}
	return validateNested(into)
}

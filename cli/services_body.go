package cli

import (
	"reflect"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

// registrationBody renders a definition as the body of PUT /v1/agent/service/register. The API's keys are the names
// of the model's fields, so a new field needs nothing here; what is unset is left out.
func registrationBody(def *model.ServiceDefinition) map[string]any {
	body := fieldsOf(reflect.ValueOf(def.Service))
	// The agent's API calls the name of a service Name, the catalog's calls it Service.
	body["Name"] = body["Service"]
	delete(body, "Service")
	if len(def.Checks) > 0 {
		body["Checks"] = plain(reflect.ValueOf(def.Checks))
	}
	if def.Sidecar != nil {
		connect, _ := body["Connect"].(map[string]any)
		if connect == nil {
			connect = make(map[string]any)
		}
		sidecar := registrationBody(def.Sidecar)
		if sidecar["Name"] == nil {
			delete(sidecar, "Name") // the agent names it after its service
		}
		connect["SidecarService"] = sidecar
		body["Connect"] = connect
	}
	return body
}

// fieldsOf returns the set fields of a struct under their names.
func fieldsOf(v reflect.Value) map[string]any {
	out := make(map[string]any)
	for i := range v.NumField() {
		if f := v.Field(i); !f.IsZero() {
			if p := plain(f); p != nil {
				out[v.Type().Field(i).Name] = p
			}
		}
	}
	return out
}

// plain turns a value of the model into what encoding/json writes with the API's keys. Secrets stay out.
func plain(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case time.Duration:
		return x.String()
	case model.Secret:
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		return plain(v.Elem())
	case reflect.Struct:
		return fieldsOf(v)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Interface {
			return v.Interface() // opaque configuration
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	case reflect.Map:
		if v.Type().Elem().Kind() == reflect.Interface {
			return v.Interface() // opaque configuration
		}
		m := make(map[string]any, v.Len())
		for it := v.MapRange(); it.Next(); {
			m[it.Key().String()] = plain(it.Value())
		}
		return m
	default:
		return v.Interface()
	}
}

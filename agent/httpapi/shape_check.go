package httpapi

import (
	"time"

	"github.com/lictor-mesh/lictor/model"
)

// appendCheck appends the HealthCheck shape (HTTP API reference, section 4.1). Those of an agent show no
// definition.
func appendCheck(b []byte, c *model.Check, definition bool) []byte {
	o := beginObject(b)
	o.text("Node", string(c.Node))
	o.text("CheckID", string(c.CheckID))
	o.text("Name", c.Name)
	o.text("Status", string(c.Status))
	o.text("Notes", c.Notes)
	o.text("Output", c.Output)
	o.text("ServiceID", string(c.ServiceID))
	o.text("ServiceName", string(c.ServiceName))
	o.texts("ServiceTags", c.ServiceTags, "[]")
	o.text("Type", c.Type)
	o.text("Interval", c.Interval)
	o.text("Timeout", c.Timeout)
	o.int("ExposedPort", c.ExposedPort)
	o.key("Definition")
	if definition {
		o.b = appendDefinition(o.b, &c.Definition)
	} else {
		o.b = append(o.b, "{}"...)
	}
	o.indexes(c.RaftIndexes)
	return o.end()
}

func appendCatalogCheck(b []byte, c *model.Check) []byte { return appendCheck(b, c, true) }

// appendAgentCheck appends a check of this agent, whose own record has neither node nor index.
func (a *API) appendAgentCheck(b []byte, c *model.Check) []byte {
	local := *c
	local.Node, local.RaftIndexes = a.Node, model.RaftIndexes{}
	return appendCheck(b, &local, false)
}

func (o *object) durationIf(name string, d time.Duration) {
	if d != 0 {
		o.text(name, d.String())
	}
}

// appendDefinition appends the keys of a definition that are set.
func appendDefinition(b []byte, d *model.CheckDefinition) []byte {
	o := beginObject(b)
	o.durationIf("Interval", d.Interval)
	o.durationIf("Timeout", d.Timeout)
	o.durationIf("DeregisterCriticalServiceAfter", d.DeregisterCriticalServiceAfter)
	o.textIf("HTTP", d.HTTP)
	if len(d.Header) > 0 {
		o.key("Header")
		o.b = appendMap(o.b, d.Header, appendStrings[string])
	}
	o.textIf("Method", d.Method)
	o.textIf("Body", d.Body)
	o.flagIf("DisableRedirects", d.DisableRedirects)
	o.textIf("TLSServerName", d.TLSServerName)
	o.flagIf("TLSSkipVerify", d.TLSSkipVerify)
	o.textIf("TCP", d.TCP)
	o.flagIf("TCPUseTLS", d.TCPUseTLS)
	o.textIf("UDP", d.UDP)
	o.textIf("H2PING", d.H2PING)
	o.textIf("OSService", d.OSService)
	o.flagIf("H2PingUseTLS", d.H2PingUseTLS && d.H2PING != "")
	o.textIf("GRPC", d.GRPC)
	o.flagIf("GRPCUseTLS", d.GRPCUseTLS)
	o.textIf("AliasNode", string(d.AliasNode))
	o.textIf("AliasService", string(d.AliasService))
	o.durationIf("TTL", d.TTL)
	return o.end()
}

// localHealthDefinition is what agent/health shows of every check's definition: the keys of the client
// library, never filled.
const localHealthDefinition = `{"Interval":"0s","Timeout":"0s","DeregisterCriticalServiceAfter":"0s","HTTP":"","Header":null,` +
	`"Method":"","Body":"","TLSServerName":"","TLSSkipVerify":false,"TCP":"","TCPUseTLS":false,"UDP":"","GRPC":"","OSService":"","GRPCUseTLS":false}`

// appendLocalHealthCheck appends a check as agent/health shows it.
func (a *API) appendLocalHealthCheck(b []byte, c *model.Check) []byte {
	o := beginObject(b)
	o.text("Node", string(a.Node))
	o.text("CheckID", string(c.CheckID))
	o.text("Name", c.Name)
	o.text("Status", string(c.Status))
	o.text("Notes", c.Notes)
	o.text("Output", c.Output)
	o.text("ServiceID", string(c.ServiceID))
	o.text("ServiceName", string(c.ServiceName))
	o.raw("ServiceTags", "null")
	o.raw("Type", `""`)
	o.int("ExposedPort", c.ExposedPort)
	o.raw("Definition", localHealthDefinition)
	o.raw("CreateIndex", "0")
	o.raw("ModifyIndex", "0")
	return o.end()
}

// appendHealthEntry appends one element of health/service.
func appendHealthEntry(b []byte, i *model.Instance) []byte {
	o := beginObject(b)
	o.key("Node")
	o.b = appendNode(o.b, i.Node)
	o.key("Service")
	o.b = appendNodeService(o.b, i.Service)
	o.key("Checks")
	o.b = appendList(o.b, i.Checks, appendCatalogCheck)
	return o.end()
}

// Package httpapi serves the /v1 HTTP API of an agent: the paths, parameters, JSON shapes, headers and error
// texts of Consul 1.21's API, and a few endpoints of our own under /v1/agent/proxy.
//
// One table (routes.go) lists every endpoint with its methods and the size of body it takes; one chain
// (serve.go) does for all of them what no handler may forget: limits, headers, blocking of endpoints, logs,
// compression, recovery. A handler maps a request to a declared read, a command, or a call of the agent, and
// nothing else. Each JSON shape of a model type is one append-encoder (shape_*.go) and, where it can be
// filtered, one table of selectors (select_*.go).
//
// What a view shows is rendered once per result and kept with it, also indented and compressed, so that a
// thousand long polls cost one rendering. The package refuses what it cannot answer truly: an endpoint of the
// compatible API that does not exist yet is 501 with one line that says so.
package httpapi

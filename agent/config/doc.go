// Package config turns flags, environment and files into one typed configuration of an agent.
//
// Every option is declared once, as a row of the table in the options_*.go files: its key in files, its flag, its type (that
// of the field it fills), its default, its help, whether a reload applies it, and whether it has an effect. Flags, the
// parsing of HCL and JSON, defaults, help, docs/config.md, the answer of a reload and the shown configuration derive from
// that table; so a new option is a row and a field.
//
// Load reads nothing but what its Sources offer, so the same input gives the same configuration. An error is one
// line that names file, line and key with what to do about it; a configuration with an error is never returned.
package config

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/consul/api"
)

// intentionWrite is what "intention create" was asked for.
type intentionWrite struct {
	allow, deny, replace, file bool
	meta                       pairs
}

func intentionCreate(sh *shell) *command {
	c := newCommand(sh, "intention create", "[options] SRC DST", "Allow or deny connections from one service to another")
	c.usage = append(c.usage, "intention create [options] -file FILE...")
	c.text = `Creates an intention that allows connections from service SRC to service DST, or with -deny refuses them. "*" stands ` +
		`for every service. Connections that are open and no longer allowed are closed.

With -file the arguments are JSON files, each with one intention as the HTTP API takes it.`
	c.example = "intention create -deny web db"
	cl := c.client()
	cl.serverFlags(c)
	cl.tenancyFlags(c)
	var w intentionWrite
	c.flags.BoolVar(&w.allow, "allow", false, "Allow connections. This is the default.")
	c.flags.BoolVar(&w.deny, "deny", false, "Deny connections.")
	c.flags.BoolVar(&w.file, "file", false, "Read the intentions from the files that the arguments name.")
	c.flags.Var(&w.meta, "meta", "Metadata to keep with the intention (`key=value`); may be repeated.")
	c.flags.BoolVar(&w.replace, "replace", false, "Replace the intention of the same source and destination where there is one.")
	c.run = func(args []string) error {
		if w.allow && w.deny {
			return errors.New("Only one of -allow or -deny may be specified.")
		}
		ixns, err := w.intentions(c, args)
		if err != nil {
			return err
		}
		if err := cl.connect(); err != nil {
			return err
		}
		for _, ixn := range ixns {
			if err := w.write(cl, ixn); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

// intentions returns what to write: from files, or one from the two names of the command line.
func (w *intentionWrite) intentions(c *command, args []string) ([]*api.Intention, error) {
	if w.file {
		if len(args) == 0 {
			return nil, withHint(errors.New("Error: -file needs at least one file"), "%s intention create -file FILE...", c.sh.program)
		}
		var ixns []*api.Intention
		for _, path := range args {
			ixn, err := readIntention(path)
			if err != nil {
				return nil, err
			}
			ixns = append(ixns, ixn)
		}
		return ixns, nil
	}
	if len(args) != 2 {
		return nil, errTwoNames(c, args)
	}
	src, dst := parseIntentionName(args[0]), parseIntentionName(args[1])
	action := api.IntentionActionAllow
	if w.deny {
		action = api.IntentionActionDeny
	}
	return []*api.Intention{{
		SourcePartition: src.partition, SourceNS: src.namespace, SourceName: src.name,
		DestinationPartition: dst.partition, DestinationNS: dst.namespace, DestinationName: dst.name,
		SourceType: api.IntentionSourceConsul, Action: action, Meta: w.meta,
	}}, nil
}

func readIntention(path string) (*api.Intention, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("Error: File %q: %w", path, err)
	}
	var ixn api.Intention
	if err := json.Unmarshal(text, &ixn); err != nil {
		return nil, withHint(fmt.Errorf("Error: File %q: %w", path, err),
			`a file holds one intention, such as {"SourceName":"web","DestinationName":"db","Action":"allow"}`)
	}
	if ixn.SourceType == "" {
		ixn.SourceType = api.IntentionSourceConsul
	}
	return &ixn, nil
}

func (w *intentionWrite) write(cl *client, ixn *api.Intention) error {
	if w.replace {
		old, err := findIntention(cl, []string{ixn.SourceName, ixn.DestinationName})
		if err != nil {
			return err
		}
		if old != nil {
			return replaceIntention(cl, old, ixn)
		}
	}
	//lint:ignore SA1019 the command has a form that names intentions by the id of the deprecated API
	if _, _, err := cl.Connect().IntentionCreate(ixn, nil); err != nil { //nolint:staticcheck // refuses duplicates, which upsert does not
		return cl.fail(fmt.Sprintf("Error creating intention %q", ixn), err)
	}
	fmt.Fprintf(cl.sh.stdout, "Created: %s\n", ixn)
	return nil
}

// replaceIntention writes ixn over old: by the ID that scripts may hold where there is one, else by its names.
func replaceIntention(cl *client, old, ixn *api.Intention) error {
	var err error
	if old.ID != "" {
		ixn.ID = old.ID
		//lint:ignore SA1019 the command has a form that names intentions by the id of the deprecated API
		_, err = cl.Connect().IntentionUpdate(ixn, nil) //nolint:staticcheck // keeps ID and metadata, which upsert does not
	} else {
		_, err = cl.Connect().IntentionUpsert(ixn, nil)
	}
	if err != nil {
		return cl.fail(fmt.Sprintf("Error replacing intention with source %q and destination %q", ixn.SourceString(), ixn.DestinationString()), err)
	}
	return nil
}

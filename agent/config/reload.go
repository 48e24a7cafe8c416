package config

import (
	"reflect"
	"slices"
)

// Diff compares the configuration that runs with a newly loaded one. It names the options whose change a reload
// applies, and those whose change needs a restart. Names are keys of files, in alphabetical order.
func Diff(running, loaded *Config) (applied, needRestart []string) {
	for i := range options().options {
		o := &options().options[i]
		if o.Replacement != "" || reflect.DeepEqual(o.at(running).Interface(), o.at(loaded).Interface()) {
			continue
		}
		// The singular keys fill the same lists.
		key := o.Key
		if key == "service" || key == "check" {
			continue
		}
		if o.Reloadable {
			applied = append(applied, key)
		} else {
			needRestart = append(needRestart, key)
		}
	}
	slices.Sort(applied)
	slices.Sort(needRestart)
	return applied, needRestart
}

// Reloaded is the configuration that runs after a reload: the running one, with what a reload applies taken from the
// loaded one. Neither argument is changed.
func Reloaded(running, loaded *Config) *Config {
	next := *running
	next.kept = map[string]any{}
	for key, value := range running.kept {
		copied := reflect.New(reflect.TypeOf(value).Elem())
		copied.Elem().Set(reflect.ValueOf(value).Elem())
		next.kept[key] = copied.Interface()
	}
	for i := range options().options {
		if o := &options().options[i]; o.Reloadable {
			o.at(&next).Set(o.at(loaded))
		}
	}
	next.NoEffect = loaded.NoEffect
	return &next
}

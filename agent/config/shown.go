package config

import (
	"reflect"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

const hidden = "hidden"

// Sanitized is the configuration as the API shows it (DebugConfig of /v1/agent/self): by the names that tools know,
// durations as text, secrets as "hidden".
func (c *Config) Sanitized() map[string]any {
	shown := map[string]any{}
	for i := range options().options {
		if o := &options().options[i]; o.Shown != "" && o.Replacement == "" {
			shown[o.Shown] = plain(o.at(c))
		}
	}
	tokens := map[string]any{"EnablePersistence": c.ACL.EnableTokenPersistence, "DataDir": c.DataDir}
	for _, name := range []string{"ACLAgentRecoveryToken", "ACLAgentToken", "ACLConfigFileRegistrationToken", "ACLDNSToken", "ACLDefaultToken", "ACLReplicationToken"} {
		tokens[name] = hidden
	}
	shown["ACLTokens"] = tokens
	shown["ACLResolverSettings"] = map[string]any{
		"ACLsEnabled": c.ACL.Enabled, "ACLDefaultPolicy": c.ACL.DefaultPolicy, "ACLDownPolicy": c.ACL.DownPolicy,
		"ACLTokenTTL": c.ACL.TokenTTL.String(), "ACLPolicyTTL": c.ACL.PolicyTTL.String(), "ACLRoleTTL": c.ACL.RoleTTL.String(),
		"Datacenter": c.Datacenter, "NodeName": string(c.NodeName),
	}
	for name, addrs := range map[string][]Listen{"HTTPAddrs": c.HTTPAddrs, "HTTPSAddrs": c.HTTPSAddrs, "GRPCAddrs": c.GRPCAddrs, "GRPCTLSAddrs": c.GRPCTLSAddrs} {
		list := []string{}
		for _, a := range addrs {
			list = append(list, a.String())
		}
		shown[name] = list
	}
	dns := []string{}
	for _, a := range c.DNSAddrs {
		dns = append(dns, "tcp://"+a.Address, "udp://"+a.Address)
	}
	for name, value := range map[string]any{
		"DNSAddrs": dns, "DevMode": c.DevMode, "GRPCTLSPort": c.Ports.GRPCTLS, "ClientAddrs": c.ClientAddrs, "BindAddr": c.BindAddr.String(),
		"AdvertiseAddrLAN": c.AdvertiseAddr.String(), "AdvertiseAddrWAN": c.AdvertiseAddrWAN.String(), "TaggedAddresses": c.TaggedAddresses,
		"LeaveOnTerm": c.LeaveOnTerminate, "SkipLeaveOnInt": c.SkipLeaveOnInterrupt, "ConnectCAConfig": withoutSecrets(c.Connect.CAConfig),
		"RPCBindAddr": "tcp://" + c.RPCBind.String(), "SerfBindAddrLAN": "tcp://" + c.SerfBindLAN.String(), "SerfBindAddrWAN": "tcp://" + c.SerfBindWAN.String(),
		"DNSSOA":   map[string]any{"Refresh": c.DNS.SOA.Refresh, "Retry": c.DNS.SOA.Retry, "Expire": c.DNS.SOA.Expire, "Minttl": c.DNS.SOA.MinTTL},
		"UIConfig": map[string]any{"Enabled": c.UI.Enabled, "ContentPath": c.UI.ContentPath},
		"Logging": map[string]any{"LogLevel": c.Log.Level, "LogJSON": c.Log.JSON, "LogFilePath": c.Log.File, "LogRotateBytes": c.Log.RotateBytes,
			"LogRotateDuration": c.Log.RotateDuration.String(), "LogRotateMaxFiles": c.Log.RotateMaxFiles},
		"Telemetry": map[string]any{"MetricsPrefix": c.Telemetry.MetricsPrefix, "PrometheusOpts": map[string]any{"Expiration": c.Telemetry.PrometheusRetentionTime.String()}},
	} {
		shown[name] = value
	}
	return shown
}

// withoutSecrets hides keys and tokens of an authority's settings.
func withoutSecrets(settings map[string]any) map[string]any {
	shown := make(map[string]any, len(settings))
	for key, value := range settings {
		if key == "PrivateKey" || key == "AuthMethod" || strings.Contains(key, "Token") {
			value = hidden
		}
		shown[key] = value
	}
	return shown
}

// plain turns an option's value into what encodes as JSON without secrets. Unset lists and maps are empty, not null.
func plain(v reflect.Value) any {
	switch value := v.Interface().(type) {
	case time.Duration:
		return value.String()
	case model.Secret:
		return hidden
	case []model.ServiceDefinition:
		names := []string{}
		for _, s := range value {
			names = append(names, string(s.Service.ID))
		}
		return names
	case []model.CheckDefinition:
		names := []string{}
		for _, c := range value {
			names = append(names, string(c.CheckID))
		}
		return names
	case map[string]time.Duration:
		texts := map[string]string{}
		for key, d := range value {
			texts[key] = d.String()
		}
		return texts
	}
	switch v.Kind() {
	case reflect.Slice:
		if v.IsNil() {
			return reflect.MakeSlice(v.Type(), 0, 0).Interface()
		}
	case reflect.Map:
		if v.IsNil() {
			return reflect.MakeMap(v.Type()).Interface()
		}
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	}
	return v.Interface()
}

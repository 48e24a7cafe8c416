package state

import "github.com/lictor-mesh/lictor/model"

// Topic names a part of the state that reads depend on. Its index is that of the last write which touched
// the part; a view is computed anew when the index of one of its topics has moved.
type Topic string

// The topics that are one for the whole state.
const (
	// TopicNodes moves with each node record.
	TopicNodes Topic = "nodes"
	// TopicServices moves with each service record.
	TopicServices Topic = "services"
	// TopicChecks moves with each check.
	TopicChecks Topic = "checks"
	// TopicIntentions moves with each intention; see TopicIntentionsTo.
	TopicIntentions Topic = "intentions"
	// TopicCARoots moves with the set of roots, TopicCAConfig with the authority's configuration.
	TopicCARoots  Topic = "ca-roots"
	TopicCAConfig Topic = "ca-config"
	// topicExtinct moves when a service loses its last instance: it is the index of names that have none.
	topicExtinct Topic = "extinct"
)

// The families of topics that exist by name: the prefix, and the topic that answers for a name without one.
const (
	familyNode          = "node:"
	familyNodeChecks    = "node-checks:"
	familyService       = "service:"
	familyHealth        = "health:"
	familyMesh          = "mesh:"
	familyServiceChecks = "service-checks:"
	familyIntentions    = "intentions:"
)

// TopicNode moves with a node's record and its services.
func TopicNode(n model.NodeName) Topic { return Topic(familyNode + model.Fold(n)) }

// TopicNodeChecks moves with the checks of a node and its services.
func TopicNodeChecks(n model.NodeName) Topic { return Topic(familyNodeChecks + model.Fold(n)) }

// TopicService moves with the instances of a service and their nodes' records, not with their checks.
func TopicService(n model.ServiceName) Topic { return Topic(familyService + model.Fold(n)) }

// TopicHealth moves with whatever an Instance of the service shows: record, node, checks.
func TopicHealth(n model.ServiceName) Topic { return Topic(familyHealth + model.Fold(n)) }

// TopicMesh is TopicHealth of the instances through which the mesh reaches the service.
func TopicMesh(n model.ServiceName) Topic { return Topic(familyMesh + model.Fold(n)) }

// TopicServiceChecks moves with the checks that belong to instances of the service.
func TopicServiceChecks(n model.ServiceName) Topic {
	return Topic(familyServiceChecks + model.Fold(n))
}

// TopicIntentionsTo moves with the intentions whose destination is written as n, which may be the wildcard.
func TopicIntentionsTo(n model.ServiceName) Topic { return Topic(familyIntentions + model.Fold(n)) }

// fallback is the topic whose index stands for t while t has none.
func (t Topic) fallback() Topic {
	for _, f := range [...]struct {
		prefix string
		to     Topic
	}{
		{familyNodeChecks, TopicChecks}, {familyNode, TopicNodes},
		{familyService, topicExtinct}, {familyHealth, topicExtinct}, {familyMesh, topicExtinct}, {familyServiceChecks, topicExtinct},
		{familyIntentions, TopicIntentions}, {string(topicExtinct), TopicServices},
	} {
		if len(t) >= len(f.prefix) && string(t[:len(f.prefix)]) == f.prefix {
			return f.to
		}
	}
	return ""
}

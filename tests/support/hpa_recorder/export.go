// Added to the package of the real controller by record.sh: its arithmetic on states given by hand.
package podautoscaler

import (
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	apisv2 "k8s.io/kubernetes/pkg/apis/autoscaling/v2"
	metricsclient "k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
)

// PlainReplicas is the replica calculator on a metric of type Pods: ready pods with a value each, pending ones without.
func PlainReplicas(total int64, ready, pending int, target int64, tolerance float64) int32 {
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	metrics := metricsclient.PodMetricsInfo{}
	for i := 0; i < ready+pending; i++ {
		phase := v1.PodRunning
		if i >= ready {
			phase = v1.PodPending
		}
		name := fmt.Sprintf("pod-%d", i)
		pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "x"}, Status: v1.PodStatus{Phase: phase}}
		if err := indexer.Add(pod); err != nil {
			panic(err)
		}
		if i < ready {
			metrics[name] = metricsclient.PodMetric{Value: total / int64(ready)}
		}
	}
	c := NewReplicaCalculator(nil, corelisters.NewPodLister(indexer), 0, 0)
	replicas, _, err := c.calcPlainMetricReplicas(metrics, int32(ready+pending), target, Tolerances{tolerance, tolerance}, "x", labels.Everything(), "")
	if err != nil {
		return int32(ready + pending)
	}
	return replicas
}

// Settled lets one HPA with the default behaviour sync every 15 s, with what the metrics ask for each time.
func Settled(first int32, desired []int32, window, least, most int32) []int32 {
	up, down := apisv2.GenerateHPAScaleUpRules(nil), apisv2.GenerateHPAScaleDownRules(nil)
	down.StabilizationWindowSeconds = &window
	behavior := &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: up, ScaleDown: down}
	current := first
	asked := append([]int32{first}, desired...)
	results := []int32{}
	type change struct {
		at int
		by int32
	}
	changes := []change{}
	for i := 1; i < len(asked); i++ {
		now := time.Now()
		at := func(sync int) time.Time { return now.Add(-15 * time.Second * time.Duration(i-sync)) }
		hc := &HorizontalController{recommendations: map[string][]timestampedRecommendation{}, scaleUpEvents: map[string][]timestampedScaleEvent{}, scaleDownEvents: map[string][]timestampedScaleEvent{}}
		for j := 0; j < i; j++ {
			hc.recommendations["k"] = append(hc.recommendations["k"], timestampedRecommendation{asked[j], at(j)})
		}
		for _, c := range changes {
			if c.by > 0 {
				hc.scaleUpEvents["k"] = append(hc.scaleUpEvents["k"], timestampedScaleEvent{c.by, at(c.at), false})
			} else {
				hc.scaleDownEvents["k"] = append(hc.scaleDownEvents["k"], timestampedScaleEvent{-c.by, at(c.at), false})
			}
		}
		hpa := &autoscalingv2.HorizontalPodAutoscaler{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: most, Behavior: behavior}}
		next := hc.normalizeDesiredReplicasWithBehaviors(hpa, "k", current, asked[i], least)
		if next != current {
			changes = append(changes, change{i, next - current})
		}
		current = next
		results = append(results, next)
	}
	return results
}

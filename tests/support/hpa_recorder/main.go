// Asks the real HPA controller about random states and prints its answers as JSON; see record.sh.
package main

import (
	"encoding/json"
	"math/rand"
	"os"

	"k8s.io/kubernetes/pkg/controller/podautoscaler"
)

// A replica's worth of load is 1000; one unit of it is a million of the controller's, whose division is whole.
const unit = 1_000_000

func main() {
	r := rand.New(rand.NewSource(1))
	out := map[string][]any{}
	for i := 0; i < 400; i++ {
		ready, pending := int64(1+r.Intn(30)), int64(0)
		if r.Intn(2) == 0 {
			pending = int64(r.Intn(20))
		}
		target := int64(50+r.Intn(60)) * 10
		load := int64(float64(ready+pending*int64(r.Intn(2))) * float64(target) * (0.5 + 1.2*r.Float64()))
		tolerance := []float64{0, 0.05, 0.1}[r.Intn(3)]
		n := podautoscaler.PlainReplicas(load*unit, int(ready), int(pending), target*unit, tolerance)
		out["pods"] = append(out["pods"], []any{load, ready, pending, target, tolerance, n})
	}
	for i := 0; i < 40; i++ {
		first := int32(1 + r.Intn(20))
		desired := []int32{}
		level := float64(first)
		for j := 0; j < 40; j++ {
			level *= 0.7 + 0.65*r.Float64()
			if r.Intn(12) == 0 {
				level *= 6
			}
			if level > 150 {
				level = 20
			}
			desired = append(desired, int32(level))
		}
		window := []int32{0, 15, 60, 100, 300}[r.Intn(5)]
		most := int32(10 + r.Intn(150))
		first = min(first, most)
		replicas := podautoscaler.Settled(first, desired, window, 1, most)
		out["settled"] = append(out["settled"], []any{first, window, most, desired, replicas})
	}
	json.NewEncoder(os.Stdout).Encode(out)
}

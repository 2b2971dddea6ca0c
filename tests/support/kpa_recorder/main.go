// Lets the real Knative autoscaler tick through random loads and prints its answers as JSON; see record.sh.
package main

import (
	"encoding/json"
	"math"
	"math/rand"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/serving/pkg/autoscaler/scaling"
)

const (
	ticks       = 150
	stableTicks = 30 // 60 s
	panicTicks  = 3  // 6 s
	leadTicks   = 10
)

// world answers what the autoscaler asks.
type world struct {
	ready         int
	stable, panic float64
}

func (w *world) ReadyCount() (int, error)    { return w.ready, nil }
func (w *world) NotReadyCount() (int, error) { return 0, nil }

func (w *world) StableAndPanicConcurrency(types.NamespacedName, time.Time) (float64, float64, error) {
	return w.stable, w.panic, nil
}

func (w *world) StableAndPanicRPS(types.NamespacedName, time.Time) (float64, float64, error) {
	return w.stable, w.panic, nil
}

func mean(values []float64, newest int) float64 {
	values = values[max(len(values)-newest, 0):]
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func sequence(r *rand.Rand) map[string]any {
	level := 1 + 20*r.Float64()
	load := []float64{}
	ready, desired := []int{}, []int32{}
	w := &world{ready: int(math.Ceil(level))}
	begin := time.Now()
	a := scaling.New(attribute.NewSet(), noop.NewMeterProvider(), "x", "x", w, w, &scaling.DeciderSpec{
		MaxScaleUpRate: 1000, MaxScaleDownRate: 2, TargetValue: 0.7, TotalValue: 1, PanicThreshold: 2,
		StableWindow: time.Minute, Reachable: true,
	})
	for i := 1; i <= ticks; i++ {
		if i > 1 {
			level *= 0.93 + 0.14*r.Float64()
			if r.Intn(60) == 0 {
				level *= 0.2 + 4*r.Float64()
			}
			level = math.Min(math.Max(level, 0.3), 80)
		}
		load = append(load, math.Round(1000*level)/1000)
		if i > leadTicks {
			w.ready = max(w.ready, int(desired[i-leadTicks-1]))
		}
		if i > 1 {
			w.ready = min(w.ready, int(desired[i-2]))
		}
		w.stable, w.panic = mean(load, stableTicks), mean(load, panicTicks)
		ready = append(ready, w.ready)
		desired = append(desired, a.Scale(zap.NewNop().Sugar(), begin.Add(time.Duration(2*i)*time.Second)).DesiredPodCount)
	}
	return map[string]any{"load": load, "ready": ready, "desired": desired}
}

func main() {
	r := rand.New(rand.NewSource(1))
	sequences := []map[string]any{}
	for i := 0; i < 10; i++ {
		sequences = append(sequences, sequence(r))
	}
	json.NewEncoder(os.Stdout).Encode(sequences)
}

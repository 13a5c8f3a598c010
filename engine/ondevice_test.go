package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/engine/placement"
)

// device skips a test that is for processes with a device of ggml's, which EYELET_TEST_DEVICE
// names, and returns its name.
func device(t *testing.T) string {
	t.Helper()
	name := os.Getenv("EYELET_TEST_DEVICE")
	if name == "" {
		t.Skip("EYELET_TEST_DEVICE names no device")
	}
	return name
}

// whole puts a language model on a device, and its tower on the CPU.
func whole(name string) func(*ModelSpec) {
	return func(s *ModelSpec) { s.Device, s.VisionDevice = name, NoDevice }
}

// onLavapipe runs a test of this package on Mesa's software driver.
func onLavapipe(t *testing.T, test string, env ...string) {
	t.Helper()
	if os.Getenv("EYELET_TEST_DEVICE") != "" || testing.Short() {
		t.Skip("this is such a device, or there is no time for one")
	}
	out, err := peers.OnLavapipe(t, "^"+test+"$", env...)
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+test+" ")) {
		t.Errorf("%v: %s", err, out)
	}
	for line := range bytes.Lines(out) {
		if bytes.Contains(line, []byte("_test.go:")) {
			t.Logf("%s", bytes.TrimSpace(line))
		}
	}
}

func TestPicturesAreEncodedBesideAnswersOfADevice(t *testing.T) {
	onLavapipe(t, "TestOnADevicePicturesAreEncodedBesideAnswers")
}

func TestAnAnswerIsTheSameOnADeviceWholeAndSplit(t *testing.T) {
	onLavapipe(t, "TestOnADeviceAnAnswerIsTheSame")
}

func TestOnADeviceAnAnswerIsTheSame(t *testing.T) {
	name := device(t)
	r := Request{Messages: []Message{User(Picture(picture(t, "shape-1.png")),
		Text(" What is in this picture?"))}}
	want := mustAsk(t, open(t, func(s *ModelSpec) { s.Device = NoDevice }), r).text
	for layers, all := range map[int]bool{0: true, 99: true, 3: false} {
		m := open(t, whole(name), func(s *ModelSpec) { s.GPULayers = layers })
		if got := mustAsk(t, m, r).text; got != want || m.lm.OnDevices() != all ||
			len(m.Info().Devices) != 1 {
			t.Errorf("%d layers on %v: %q, want %q", layers, m.Info().Devices, got, want)
		}
	}
}

func TestOnADevicePicturesAreEncodedBesideAnswers(t *testing.T) {
	name := device(t)
	m, cpu := open(t, whole(name)), open(t, func(s *ModelSpec) { s.Device = NoDevice })
	if !m.lm.OnDevices() || !m.leavesCPU(m.spec) || cpu.leavesCPU(cpu.spec) {
		t.Fatal("who leaves the CPU to its tower?")
	}
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error)
	go func() {
		_, err := collect(ctx, m, endless(m))
		over <- err
	}()
	for _, file := range []string{"shape-1.png", "text-1.png", "sum.png"} {
		r := Request{Messages: []Message{User(Picture(picture(t, file)),
			Text(" What is in this picture?"))}, MaxTokens: 8}
		if got, want := mustAsk(t, m, r).text, mustAsk(t, cpu, r).text; got != want {
			t.Errorf("%s: %q, on the CPU %q", file, got, want)
		}
	}
	stop()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	st := m.Stats()
	t.Logf("%d of %d steps of the tower while tokens were computed", st.EncodedBeside,
		st.Media.Steps)
	if st.EncodedBeside == 0 || cpu.Stats().EncodedBeside != 0 {
		t.Errorf("%d steps beside decodes, on the CPU %d", st.EncodedBeside,
			cpu.Stats().EncodedBeside)
	}
}

func TestShippedAnswersAreTheSameOnADevice(t *testing.T) {
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("minutes: set EYELET_SLOW=1")
	}
	onLavapipe(t, "TestOnADeviceShippedAnswersAreTheSame")
	onLavapipe(t, "TestOnADeviceFamiliesSayTheSame")
}

// Of each kind of language model that is made here, with rotary positions of three kinds and
// windows.
func TestOnADeviceFamiliesSayTheSame(t *testing.T) {
	name := device(t)
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			model, projector := f.make(t)
			ask := func(change func(*ModelSpec)) wholeAnswer {
				m := open(t, func(s *ModelSpec) {
					s.Model, s.Projector, s.Context = model, projector, famContext
					change(s)
				})
				return say(t, m, true, User(Picture(scene(t, 0, 120, 80)),
					Text("Which colours are there?")))
			}
			want := ask(func(s *ModelSpec) { s.Device = NoDevice }).text
			agree(t, "all layers on the device", ask(whole(name)), want)
			agree(t, "one layer there", ask(func(s *ModelSpec) {
				s.Device, s.GPULayers, s.VisionDevice = name, 1, NoDevice
			}), want)
		})
	}
}

func TestOnADeviceShippedAnswersAreTheSame(t *testing.T) {
	name := device(t)
	all := shipped(t)
	want, near, _ := answers(t, all, func(s *ModelSpec) { s.Device = NoDevice })
	for place, change := range map[string]func(*ModelSpec){
		"all layers on the device": whole(name),
		"tower on the device, too": func(s *ModelSpec) { s.Device, s.VisionDevice = name, name },
		"three of seven layers there": func(s *ModelSpec) {
			s.Device, s.GPULayers, s.VisionDevice = name, 3, NoDevice
		},
	} {
		got, _, _ := answers(t, all, change)
		for i := range want {
			if slices.Equal(got[i], want[i]) {
				continue
			}
			report := t.Errorf
			if near[i] {
				report = t.Logf
			}
			report("%s: answer %d is %v, on the CPU %v; a near tie: %v", place, i, got[i], want[i],
				near[i])
		}
		t.Logf("%s: %d answers compared", place, len(want))
	}
}

func TestADeviceThatIsLostEndsItsRequests(t *testing.T) {
	env, _, _ := peers.FaultyVulkan(t)
	onLavapipe(t, "TestOnADeviceThatIsLost", env...)
	if os.Getenv("EYELET_SLOW") != "" {
		env, _, _ = peers.FaultyVulkan(t) // in the middle of work
		onLavapipe(t, "TestOnADeviceThatIsLost", append(env, "EYELET_TEST_LATE=0")...)
	}
}

func TestModelsOnADeviceThatWasLostUnnoticedAreClosed(t *testing.T) {
	env, _, _ := peers.FaultyVulkan(t)
	onLavapipe(t, "TestOnADeviceThatIsLostUnnoticed", append(env, "EYELET_TEST_LATE=0")...)
	if os.Getenv("EYELET_SLOW") == "" {
		return
	}
	for calls := range 8 { // while they are closed, at one call after the other
		env, _, _ := peers.FaultyVulkan(t)
		onLavapipe(t, "TestOnADeviceThatIsLostUnnoticed", append(env, "EYELET_TEST_MODELS=50",
			fmt.Sprintf("EYELET_TEST_LATE=%d", calls))...)
	}
}

// Nobody uses the device between its loss and the end of the models there.
func TestOnADeviceThatIsLostUnnoticed(t *testing.T) {
	name, lost := device(t), os.Getenv("EYELET_TEST_LOST")
	if lost == "" {
		t.Skip("needs a device that fails on demand")
	}
	cpu := open(t, func(s *ModelSpec) { s.Device = NoDevice })
	r := Request{Messages: []Message{User(Picture(picture(t, "shape-1.png")),
		Text(" What is in this picture?"))}}
	want := mustAsk(t, cpu, r).text
	var models []*Model
	number := 8
	if n, err := strconv.Atoi(os.Getenv("EYELET_TEST_MODELS")); err == nil {
		number = n
	}
	for i := range number {
		m, err := cpu.engine.Load(t.Context(), ModelSpec{Model: seedModel,
			Projector: seedProjector, Device: name, Context: 256, Parallel: 1,
			VisionDevice: []string{NoDevice, name}[i%2], GPULayers: []int{0, 3}[i/2%2]})
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	if got := mustAsk(t, models[0], r).text; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := os.WriteFile(lost, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for i, m := range models {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if i%10 == 0 {
			if got := mustAsk(t, cpu, r).text; got != want {
				t.Fatalf("%q, want %q", got, want)
			}
		}
	}
	if len(ggml.GPUs()) != 0 {
		t.Error("a lost device is offered")
	}
}

func TestOnADeviceThatIsLost(t *testing.T) {
	name, lost := device(t), os.Getenv("EYELET_TEST_LOST")
	if lost == "" {
		t.Skip("needs a device that fails on demand")
	}
	m, cpu := open(t, whole(name)), open(t, func(s *ModelSpec) { s.Device = NoDevice })
	r := Request{Messages: []Message{User(Picture(picture(t, "shape-1.png")),
		Text(" What is in this picture?"))}}
	want := mustAsk(t, cpu, r).text
	if got := mustAsk(t, m, r).text; got != want || m.Lost() != nil {
		t.Errorf("%q, %v; want %q", got, m.Lost(), want)
	}
	tokens := 0
	var err error
	for _, err = range m.Generate(t.Context(), endless(m)) {
		if tokens++; tokens == 5 {
			if err := os.WriteFile(lost, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !errors.Is(err, ErrDeviceLost) || !strings.Contains(fmt.Sprint(err), name) ||
		!errors.Is(m.Lost(), ErrDeviceLost) {
		t.Errorf("%v, %v", err, m.Lost())
	}
	for range 50 {
		if _, err := collect(t.Context(), m, r); !errors.Is(err, ErrDeviceLost) {
			t.Fatal(err)
		}
		if got := mustAsk(t, cpu, r).text; got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	again := open(t) // where there is a device left
	if got := mustAsk(t, again, r).text; got != want || len(again.Info().Devices) != 0 {
		t.Errorf("%q on %v", got, again.Info().Devices)
	}
	if _, err := again.engine.Load(t.Context(), ModelSpec{Model: seedModel,
		Device: name}); !errors.Is(err, ErrDevice) {
		t.Errorf("a model on a device that is lost: %v", err)
	}
	if len(ggml.GPUs()) != 0 {
		t.Error("a lost device is offered")
	}
}

// Fifty programs of which each loses its device, or finds it full, at another moment: while models
// answer there, read, encode, are loaded and closed.
func TestADeviceFailsAtAnyMoment(t *testing.T) {
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("minutes: set EYELET_SLOW=1")
	}
	for seed := range 50 {
		env, _, _ := peers.FaultyVulkan(t)
		env = append(env, fmt.Sprintf("EYELET_TEST_SEED=%d", seed))
		if seed%4 == 0 {
			env = append(env, fmt.Sprintf("EYELET_TEST_LATE=%d", seed/4))
		}
		onLavapipe(t, "TestOnADeviceThatFailsAtAMoment", env...)
	}
}

func TestOnADeviceThatFailsAtAMoment(t *testing.T) {
	name, lost, full := device(t), os.Getenv("EYELET_TEST_LOST"), os.Getenv("EYELET_TEST_FULL")
	seed, err := strconv.Atoi(os.Getenv("EYELET_TEST_SEED"))
	if err != nil {
		t.Skip("needs a device that fails on demand, and a seed")
	}
	chance := rand.New(rand.NewPCG(uint64(seed), 0))
	cpu := open(t, func(s *ModelSpec) { s.Device = NoDevice })
	r := Request{Messages: []Message{User(Picture(picture(t, "shape-1.png")),
		Text(" What is in this picture?"))}}
	want := mustAsk(t, cpu, r).text
	specs := []ModelSpec{{VisionDevice: NoDevice}, {VisionDevice: name}, {GPULayers: 3},
		{Encoder: EncoderMtmd, VisionDevice: NoDevice}}
	load := func(i int) (*Model, error) {
		spec := specs[i]
		spec.Model, spec.Projector, spec.Device, spec.Context = seedModel, seedProjector, name, 512
		return cpu.engine.Load(t.Context(), spec)
	}
	var work sync.WaitGroup
	var over atomic.Bool
	ask := func(m *Model) error {
		got, err := collect(t.Context(), m, r)
		if err == nil && got.text != want {
			t.Errorf("%q, want %q", got.text, want)
		}
		return err
	}
	for i := range specs {
		m, err := load(i)
		if err != nil {
			t.Fatal(err)
		}
		idle := chance.IntN(3) == 0
		work.Go(func() {
			for !over.Load() && !idle {
				if ask(m) != nil && m.Lost() != nil {
					break
				}
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	again := chance.IntN(len(specs))
	work.Go(func() {
		for !over.Load() {
			m, err := load(again)
			if err != nil {
				continue
			}
			_ = ask(m)
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	time.Sleep(time.Duration(chance.IntN(500)) * time.Millisecond)
	fails := lost
	if seed%5 == 4 {
		fails = full
	}
	if err := os.WriteFile(fails, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if got := mustAsk(t, cpu, r).text; got != want {
			t.Errorf("%q beside a device that failed, want %q", got, want)
		}
	}
	over.Store(true)
	work.Wait()
	if got := mustAsk(t, cpu, r).text; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if fails == lost {
		return
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	m, err := load(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(m); err != nil {
		t.Error(err)
	}
}

func TestADeviceWithoutMemoryEndsItsRequests(t *testing.T) {
	env, _, _ := peers.FaultyVulkan(t)
	onLavapipe(t, "TestOnADeviceWithoutMemory", env...)
}

func TestOnADeviceWithoutMemory(t *testing.T) {
	name, full := device(t), os.Getenv("EYELET_TEST_FULL")
	if full == "" {
		t.Skip("needs a device that fails on demand")
	}
	cpu := open(t, func(s *ModelSpec) { s.Device = NoDevice })
	r := Request{Messages: []Message{User(Picture(picture(t, "shape-1.png")),
		Text(" What is in this picture?"))}}
	want := mustAsk(t, cpu, r).text
	said := ""
	spec := ModelSpec{Model: seedModel, Projector: seedProjector, Device: name,
		VisionDevice: NoDevice, Notice: func(text string) { said = text }}
	for i := range 50 {
		if err := os.WriteFile(full, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		all := spec
		if all.GPULayers = 99; i%5 == 0 {
			all.GPULayers = 0
		}
		m, err := cpu.engine.Load(t.Context(), all)
		switch {
		case all.GPULayers == 99 && err == nil:
			t.Fatal("a model was loaded where there is no memory")
		case all.GPULayers == 99 && !errors.Is(err, llama.ErrDeviceFull):
			t.Fatal(err)
		case all.GPULayers == 0 && err != nil:
			t.Fatal(err)
		case all.GPULayers == 0:
			if got := mustAsk(t, m, r).text; got != want || len(m.Info().Devices) != 0 ||
				!strings.Contains(said, "no room for one of its layers") {
				t.Errorf("%q on %v: %s", got, m.Info().Devices, said)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
		if got := mustAsk(t, cpu, r).text; got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	m, err := cpu.engine.Load(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if got := mustAsk(t, m, r).text; got != want || placement.Layers(m.Info().Devices) != 7 {
		t.Errorf("%q on %v, want %q", got, m.Info().Devices, want)
	}
}

func TestASmallDeviceGetsTheLayersThatItHasRoomFor(t *testing.T) {
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("compiles shaders: set EYELET_SLOW=1")
	}
	env, _, _ := peers.FaultyVulkan(t)
	onLavapipe(t, "TestOnASmallDevice", append(env, fmt.Sprintf("EYELET_TEST_MEMORY=%d",
		smallDevice))...)
}

// smallDevice is how many bytes a device has that takes some layers of the built-in model, and not
// all.
const smallDevice = 12 << 20

func TestOnASmallDevice(t *testing.T) {
	name := device(t)
	if os.Getenv("EYELET_TEST_MEMORY") == "" {
		t.Skip("needs a device that is small")
	}
	r := Request{Messages: []Message{User(Picture(picture(t, "shape-1.png")),
		Text(" What is in this picture?"))}}
	cpu := open(t, func(s *ModelSpec) { s.Device = NoDevice })
	want := mustAsk(t, cpu, r).text
	var work sync.WaitGroup
	var mu sync.Mutex
	most := 0
	for range 4 { // at once
		work.Go(func() {
			said := ""
			m, err := cpu.engine.Load(t.Context(), ModelSpec{Model: seedModel,
				Projector: seedProjector, Device: name, VisionDevice: NoDevice, Context: 512,
				Notice: func(text string) { said = text }})
			if err != nil {
				t.Error(err)
				return
			}
			layers := placement.Layers(m.Info().Devices)
			if got := mustAsk(t, m, r).text; got != want || layers == 7 ||
				!strings.Contains(said, "no room for") {
				t.Errorf("%q with %v, want %q; %q", got, m.Info().Devices, want, said)
			}
			t.Log(said)
			mu.Lock()
			defer mu.Unlock()
			most = max(most, layers)
		})
	}
	work.Wait()
	if most == 0 {
		t.Error("no layer lies on the device")
	}
}

func TestWithoutADeviceNothingIsComputedThere(t *testing.T) {
	env, lost, _ := peers.FaultyVulkan(t)
	if err := os.WriteFile(lost, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	onLavapipe(t, "TestOnADeviceThatIsNotUsed", env...)
}

// The device is lost from the beginning: whatever is handed to it fails.
func TestOnADeviceThatIsNotUsed(t *testing.T) {
	name := device(t)
	if os.Getenv("EYELET_TEST_LOST") == "" {
		t.Skip("needs a device that fails on demand")
	}
	r := Request{Messages: []Message{User(Picture(picture(t, "shape-1.png")),
		Text(" What is in this picture?"))}}
	for place, change := range map[string]func(*ModelSpec){
		"--device none":     func(s *ModelSpec) { s.Device = NoDevice },
		"--device cpu":      func(s *ModelSpec) { s.Device = "cpu" },
		"--gpu-layers none": func(s *ModelSpec) { s.GPULayers = -1 },
		"mtmd":              func(s *ModelSpec) { s.Device, s.Encoder = NoDevice, EncoderMtmd },
	} {
		m := open(t, change)
		if mustAsk(t, m, r).text == "" || len(m.Info().Devices) > 0 {
			t.Errorf("%s: no answer, or one from %v", place, m.Info().Devices)
		}
	}
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Load(t.Context(), ModelSpec{Model: seedModel, Device: name}); err == nil {
		t.Error("a model was loaded onto a lost device: the test shows nothing")
	}
}

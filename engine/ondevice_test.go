package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/peers"
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
	for _, late := range [][]string{nil, {"EYELET_TEST_LATE=1"}} { // in the middle of work
		env, _, _ := peers.FaultyVulkan(t)
		onLavapipe(t, "TestOnADeviceThatIsLost", append(env, late...)...)
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
	spec := ModelSpec{Model: seedModel, Projector: seedProjector, Device: name,
		VisionDevice: NoDevice}
	for range 50 {
		if err := os.WriteFile(full, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if m, err := cpu.engine.Load(t.Context(), spec); err == nil {
			m.Close()
			t.Fatal("a model was loaded where there is no memory")
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
	if got := mustAsk(t, m, r).text; got != want {
		t.Errorf("%q, want %q", got, want)
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

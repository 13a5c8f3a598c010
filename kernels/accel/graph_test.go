package accel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// paths of the device, with how much of the sum of the magnitudes that are added up a number may be
// wrong by. Activations are rounded to 8 bits (half a 127th of the largest of 32, which is up to 4
// times the mean magnitude) or bfloat16 (2^-8, weights too).
var paths = []struct {
	name      string
	path      path
	tolerance float64
}{
	{"integers", integers, 4 * 0.5 / 127},
	{"floats", floats, 8 * unit},
	{"oneDNN, float32", onednnF32, 8 * unit},
	{"oneDNN, bfloat16", onednnBF16, 2.0 / 256},
	{"when memory is short", starved, 64 * unit},
}

// weightTypes are those that random weights can be made of.
func weightTypes() (types []ggml.Type) {
	for _, typ := range ggml.Types() {
		if typ == ggml.F32 || typ.CanQuantize() {
			types = append(types, typ)
		}
	}
	return types
}

// tabled says whether ggml takes seconds to make the tables with which it quantizes to a type.
func tabled(typ ggml.Type) bool {
	name := typ.String()
	return strings.HasPrefix(name, "iq1") || strings.HasPrefix(name, "iq2") ||
		strings.HasPrefix(name, "iq3")
}

var plain = [4]int{0, 1, 2, 3}

// newMatrices makes random matrices of a shape after a permutation, cut out of a tensor with more
// rows and planes. kept are the numbers of the whole.
func newMatrices(t testing.TB, typ ggml.Type, shape, permute [4]int, gap int,
	seed uint64) (m *matrices, kept []float32) {
	t.Helper()
	m = &matrices{typ: typ, permute: permute}
	for i, to := range permute {
		m.ne[i] = shape[to]
	}
	m.whole = m.ne
	m.whole[0] += gap * typ.BlockSize()
	m.whole[1] += gap
	m.data, kept = encode(t, typ, normals(m.whole[0]*m.whole[1]*m.whole[2]*m.whole[3], seed),
		m.whole[0])
	return m, kept
}

// at returns where the number at a position after the permutation stands.
func (m *matrices) at(position [4]int) int {
	index, stride := 0, 1
	for i, to := range m.permute {
		index += position[to] * stride
		stride *= m.whole[i]
	}
	return index
}

// step returns how far apart neighbours in a row are after the permutation.
func (m *matrices) step() int { return m.at([4]int{1}) - m.at([4]int{}) }

// expected is a product in float64, and the sum of the magnitudes that were added up for each
// number. With experts, each token is multiplied in a number of slots, by what expert returns.
func expected(w, x *matrices, weights, numbers []float32, slots int,
	expert func(slot, token int) int) (y, magnitude []float64) {
	ws, xs := w.shape(), x.shape()
	out := [4]int{ws[1], xs[1], xs[2], xs[3]}
	if expert != nil {
		out[1] = slots
	}
	wStep, xStep := w.step(), x.step()
	add := func(wp, xp [4]int) {
		var sum, size float64
		wAt, xAt := w.at(wp), x.at(xp)
		if wStep == 1 && xStep == 1 {
			sum, size = dot(numbers[xAt:][:ws[0]], weights[wAt:])
		} else {
			for range ws[0] {
				p := float64(weights[wAt]) * float64(numbers[xAt])
				sum, size = sum+p, size+math.Abs(p)
				wAt, xAt = wAt+wStep, xAt+xStep
			}
		}
		y, magnitude = append(y, sum), append(magnitude, size)
	}
	for i3 := range out[3] {
		for i2 := range out[2] {
			for i1 := range out[1] {
				for i0 := range out[0] {
					if expert != nil {
						add([4]int{0, i0, expert(i1, i2), 0}, [4]int{0, i1 % xs[1], i2, 0})
						continue
					}
					add([4]int{0, i0, i2 * ws[2] / xs[2], i3 * ws[3] / xs[3]},
						[4]int{0, i1, i2, i3})
				}
			}
		}
	}
	return y, magnitude
}

// checkGraph runs a product and compares it. It returns false if the device declined.
func checkGraph(t *testing.T, p path, tolerance float64, w, x *matrices, weights, numbers []float32,
	threads int) bool {
	t.Helper()
	want, magnitude := expected(w, x, weights, numbers, 0, nil)
	return checkKnown(t, p, tolerance, w, x, want, magnitude, threads)
}

// checkKnown is checkGraph where it is known what is expected.
func checkKnown(t *testing.T, p path, tolerance float64, w, x *matrices,
	want, magnitude []float64, threads int) bool {
	t.Helper()
	got, err := runGraph(p, w, x, nil, threads, len(want))
	if errors.Is(err, errDeclined) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, want, magnitude, tolerance)
	return true
}

func compare(t *testing.T, got []float32, want, magnitude []float64, tolerance float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(float64(got[i])-want[i]) <= tolerance*magnitude[i]+1e-30) {
			t.Fatalf("number %d is %v, want %v within %.2g of %v", i, got[i], want[i], tolerance,
				magnitude[i])
		}
	}
}

func TestGraphProducts(t *testing.T) {
	if testing.Short() {
		t.Attr("reduced", "a quarter of the types by each path")
	}
	for _, test := range []struct {
		name               string
		w, x               [4]int
		permuteW, permuteX [4]int
		gap                int
	}{
		{"one product", [4]int{256, 40, 1, 1}, [4]int{256, 19, 1, 1}, plain, plain, 0},
		{"a single row", [4]int{512, 33, 1, 1}, [4]int{512, 1, 1, 1}, plain, plain, 0},
		{"rows with gaps", [4]int{256, 40, 1, 1}, [4]int{256, 19, 1, 1}, plain, plain, 1},
		{"a product a head", [4]int{256, 20, 3, 2}, [4]int{256, 17, 3, 2}, plain, plain, 0},
		{"heads that share keys", [4]int{256, 20, 2, 1}, [4]int{256, 9, 6, 1}, plain, plain, 0},
		{"heads that share keys, with gaps", [4]int{256, 20, 2, 2}, [4]int{256, 9, 4, 4}, plain,
			plain, 1},
		{"permuted activations", [4]int{256, 20, 2, 1}, [4]int{256, 9, 4, 3}, plain,
			[4]int{0, 2, 1, 3}, 0},
		{"permuted weights", [4]int{256, 20, 2, 1}, [4]int{256, 9, 4, 1}, [4]int{0, 2, 1, 3}, plain,
			0},
		{"both permuted", [4]int{256, 20, 2, 3}, [4]int{256, 9, 4, 3}, [4]int{0, 3, 2, 1},
			[4]int{0, 2, 3, 1}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			claimed := make([]int, len(paths))
			x, numbers := newMatrices(t, ggml.F32, test.x, test.permuteX, test.gap, 2)
			for i, typ := range weightTypes() {
				w, weights := newMatrices(t, typ, test.w, test.permuteW, test.gap, 1)
				want, magnitude := expected(w, x, weights, numbers, 0, nil)
				for k, p := range paths {
					if testing.Short() && p.path != integers && i%4 != int(p.path)%4 {
						continue // a quarter, other ones by other paths
					}
					if checkKnown(t, p.path, p.tolerance, w, x, want, magnitude, 2) {
						claimed[k]++
					}
				}
			}
			for k, p := range paths {
				if claimed[k] == 0 && (p.path == floats || p.path == onednnF32) {
					t.Errorf("%s takes no type", p.name)
				}
				t.Logf("%s: %d types", p.name, claimed[k])
			}
		})
	}
}

func TestGraphProductsOfExperts(t *testing.T) {
	const experts, used, tokens, n, k = 5, 2, 23, 24, 256
	rng := rand.New(rand.NewPCG(3, 3))
	ids := &matrices{typ: ggml.I32, whole: [4]int{experts, tokens, 1, 1},
		ne: [4]int{used, tokens, 1, 1}, permute: plain}
	chosen := make([]int32, experts*tokens)
	for token := range tokens {
		for i, e := range rng.Perm(experts) {
			chosen[token*experts+i] = int32(e)
		}
	}
	for _, e := range chosen {
		ids.data = binary.NativeEndian.AppendUint32(ids.data, uint32(e))
	}
	// all slots of a token share a row of x, or each has its own
	for _, rows := range []int{1, used} {
		for _, typ := range []ggml.Type{ggml.F32, ggml.F16, ggml.Q8_0, ggml.Q4_K} {
			for _, p := range paths {
				t.Run(fmt.Sprintf("%d rows a token, %v, %s", rows, typ, p.name),
					func(t *testing.T) {
						w, weights := newMatrices(t, typ, [4]int{k, n, experts, 1}, plain, 0, 1)
						x, numbers := newMatrices(t, ggml.F32, [4]int{k, rows, tokens, 1}, plain, 0,
							2)
						want, magnitude := expected(w, x, weights, numbers, used,
							func(slot, token int) int { return int(chosen[token*experts+slot]) })
						got, err := runGraph(p.path, w, x, ids, 2, len(want))
						if errors.Is(err, errDeclined) && (p.path == integers ||
							p.path == onednnBF16) {
							t.Skip("this path does not take the type here")
						}
						if err != nil {
							t.Fatal(err)
						}
						compare(t, got, want, magnitude, p.tolerance)
					})
			}
		}
	}
}

// Weights that ggml's CPU backend has repacked give what they gave before, with each set of
// instructions that reads them.
func TestGraphProductsOfRepackedWeights(t *testing.T) {
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	onEachIntegerISA(t, func(t *testing.T, isa string) {
		for _, shape := range [][4]int{{256, 8, 1, 1}, {512, 16, 1, 1}, {256, 24, 1, 1},
			{1280, 40, 1, 1}, {2304, 64, 1, 1}} {
			for _, rows := range []int{1, 7, 12, 61} {
				w, weights := newMatrices(t, ggml.Q4_K, shape, plain, 0, 1)
				w.repacked = true
				x, numbers := newMatrices(t, ggml.F32, [4]int{shape[0], rows, 1, 1}, plain, 0, 2)
				want, magnitude := expected(w, x, weights, numbers, 0, nil)
				for _, p := range []path{anyPath, integers, starved} {
					taken := checkKnown(t, p, 4*0.5/127, w, x, want, magnitude, 2)
					if should := isa != "plain"; taken != should && reads(ggml.Q4_K) {
						t.Fatalf("%v by path %d: taken %v, want %v", shape, p, taken, should)
					}
				}
			}
		}
	})
	if !reads(ggml.Q4_K) {
		t.Log("here the CPU backend repacks no Q4_K, or otherwise than expected")
	}
	for _, other := range []ggml.Type{ggml.Q4_0, ggml.IQ4_NL, ggml.Q2_K} {
		w, weights := newMatrices(t, other, [4]int{512, 64, 1, 1}, plain, 0, 1)
		w.repacked = true
		x, numbers := newMatrices(t, ggml.F32, [4]int{512, 32, 1, 1}, plain, 0, 2)
		if checkGraph(t, anyPath, 4*0.5/127, w, x, weights, numbers, 2) {
			t.Errorf("repacked %v is taken", other)
		}
	}
}

func TestGraphProductsOfRepackedExperts(t *testing.T) {
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	const experts, used, tokens, n, k = 4, 2, 23, 24, 512
	ids := &matrices{typ: ggml.I32, whole: [4]int{used, tokens, 1, 1}, ne: [4]int{used, tokens, 1,
		1}, permute: plain}
	expert := func(slot, token int) int { return (token*3 + slot) % experts }
	for token := range tokens {
		for slot := range used {
			ids.data = binary.NativeEndian.AppendUint32(ids.data, uint32(expert(slot, token)))
		}
	}
	w, weights := newMatrices(t, ggml.Q4_K, [4]int{k, n, experts, 1}, plain, 0, 1)
	w.repacked = true
	x, numbers := newMatrices(t, ggml.F32, [4]int{k, used, tokens, 1}, plain, 0, 2)
	want, magnitude := expected(w, x, weights, numbers, used, expert)
	for _, p := range []path{integers, starved} {
		got, err := runGraph(p, w, x, ids, 2, len(want))
		if errors.Is(err, errDeclined) && !reads(ggml.Q4_K) {
			t.Skip("here the CPU backend repacks no Q4_K, or otherwise than expected")
		}
		if err != nil {
			t.Fatal(err)
		}
		compare(t, got, want, magnitude, 4*0.5/127)
	}
}

// randomProduct makes a product of a random shape: any type, numbers of rows and columns that no
// block divides, planes that share weights, gaps, permuted dimensions.
func randomProduct(t testing.TB, seed uint64) (p path, w, x *matrices, weights, numbers []float32) {
	rng := rand.New(rand.NewPCG(seed, 24))
	types := weightTypes()
	typ := types[rng.IntN(len(types))]
	blocks := 1 + rng.IntN(3)
	k := blocks * typ.BlockSize()
	if typ.BlockSize() == 1 {
		k = 1 + rng.IntN(600)
	}
	shape := [4]int{k, 1 + rng.IntN(70), 1 + rng.IntN(3), 1 + rng.IntN(2)}
	others := [4]int{k, 1 + rng.IntN(40), shape[2] * (1 + rng.IntN(3)),
		shape[3] * (1 + rng.IntN(2))}
	permutes := [][4]int{plain, {0, 2, 1, 3}, {0, 1, 3, 2}, {0, 3, 2, 1}}
	w, weights = newMatrices(t, typ, shape, permutes[rng.IntN(len(permutes))], rng.IntN(2), seed)
	x, numbers = newMatrices(t, ggml.F32, others, permutes[rng.IntN(len(permutes))], rng.IntN(2),
		seed+1)
	return path(rng.IntN(int(onednnBF16) + 1)), w, x, weights, numbers
}

// checkRandomProduct tells whether the device took the product.
func checkRandomProduct(t *testing.T, seed uint64, threads int) bool {
	p, w, x, weights, numbers := randomProduct(t, seed)
	worst := 0.0 // if any path may compute it
	for _, known := range paths {
		if known.path == p || p == anyPath {
			worst = max(worst, known.tolerance)
		}
	}
	return checkGraph(t, p, worst, w, x, weights, numbers, threads)
}

// What supports-op takes, compute computes. scripts/fuzz and "go test -asan" run it too.
func TestWhatIsTakenIsComputed(t *testing.T) {
	taken := 0
	countedCalls()
	for seed := range uint64(48) {
		if checkRandomProduct(t, seed, 1+int(seed%3)) {
			taken++
		}
	}
	if taken < 24 {
		t.Errorf("%d products were taken, want at least 24", taken)
	}
	if calls := countedCalls(); calls != taken {
		t.Errorf("%d calls are counted, %d were made", calls, taken)
	}
}

func FuzzGraph(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, byte(2))
	}
	f.Fuzz(func(t *testing.T, seed uint64, threads byte) {
		checkRandomProduct(t, seed, 1+int(threads%4))
	})
}

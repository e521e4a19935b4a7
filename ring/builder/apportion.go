package builder

import (
	"cmp"
	"math"
	"slices"
)

// epsilon is how far a sum of shares may be off an integer and still count as that integer.
const epsilon = 1e-9

// fill splits total in proportion to the shares, keeping every part within its bounds: it finds the factor f at which
// the sum of clamp(f*share, lo, hi) is the total. When the bounds do not allow the total, everybody gets the nearest
// bound.
func fill(total float64, share, lo, hi []float64) []float64 {
	part := make([]float64, len(share))
	at := func(f float64) float64 {
		sum := 0.0
		for i, s := range share {
			part[i] = min(max(f*s, lo[i]), hi[i])
			sum += part[i]
		}
		return sum
	}
	low, high := 0.0, 1.0
	for range 200 {
		if at(high) >= total {
			break
		}
		low, high = high, 2*high
	}
	if at(high) <= total {
		return part
	}
	for range 100 {
		if mid := (low + high) / 2; at(mid) < total {
			low = mid
		} else {
			high = mid
		}
	}
	// The bisection told who is at a bound; the others share the rest exactly.
	at((low + high) / 2)
	rest, free := total, 0.0
	for i, s := range share {
		if part[i] > lo[i] && part[i] < hi[i] {
			free += s
		} else {
			rest -= part[i]
		}
	}
	for i, s := range share {
		if part[i] > lo[i] && part[i] < hi[i] {
			part[i] = min(max(rest*s/free, lo[i]), hi[i])
		}
	}
	return part
}

// apportion is fill in whole numbers: each part is the exact one rounded down or up, and they sum up to the total
// if the bounds allow it.
func apportion(total int, share []float64, lo, hi []int) []int {
	exact := fill(float64(total), share, floats(lo), floats(hi))
	part := make([]int, len(exact))
	rest := total
	order := make([]int, len(exact))
	for i, e := range exact {
		part[i] = min(max(int(math.Floor(e+epsilon)), lo[i]), hi[i])
		rest -= part[i]
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(exact[b]-float64(part[b]), exact[a]-float64(part[a]))
	})
	// One round is enough unless rounding errors piled up; then whoever has room takes what is left.
	for moved := true; moved && rest != 0; {
		moved = false
		for _, i := range order {
			if rest > 0 && part[i] < hi[i] {
				part[i]++
				rest--
				moved = true
			}
		}
		for _, i := range slices.Backward(order) {
			if rest < 0 && part[i] > lo[i] {
				part[i]--
				rest++
				moved = true
			}
		}
	}
	return part
}

func floats(n []int) []float64 {
	f := make([]float64, len(n))
	for i, v := range n {
		f[i] = float64(v)
	}
	return f
}

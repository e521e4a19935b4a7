package xprofile

import (
	"cmp"
	"fmt"
	"slices"
)

const (
	flameWidth = 1000.0
	flameLine  = 18.0
	flameDepth = 64   // levels that are drawn
	flameLeast = 1.5  // width of the narrowest box
	flameBoxes = 4000 // that are drawn at most
	flameChar  = 6.65 // width of a letter
)

// A frame is a function where it was called.
type frame struct {
	fn    function
	value int64
	calls map[function]*frame
}

func (f *frame) call(fn function, v int64) *frame {
	if f.calls == nil {
		f.calls = map[function]*frame{}
	}
	c := f.calls[fn]
	if c == nil {
		c = &frame{fn: fn}
		f.calls[fn] = c
	}
	c.value = sum(c.value, v)
	return c
}

// flamePlot draws stacks: what is called stands below who calls it, as wide as its share.
func flamePlot(r *report) *drawing {
	root := &frame{}
	for _, st := range r.stacks {
		if st.cost.value <= 0 {
			continue
		}
		root.value = sum(root.value, st.cost.value)
		at := root
		for _, fn := range st.fns[:min(len(st.fns), flameDepth)] {
			at = at.call(fn, st.cost.value)
		}
	}
	p := flamePainter{drawing: &drawing{width: flameWidth, height: flameLine + 4}, report: r, total: root.value}
	p.box(0, 0, flameWidth, "everything", "#cbd5e1", fmt.Sprintf("%s: %s", r.view.Title, r.view.unit.text(root.value)))
	if root.value > 0 {
		p.below(root, 0, 0)
	}
	return p.drawing
}

type flamePainter struct {
	*drawing
	report *report
	total  int64
	boxes  int
}

// below draws what a frame calls, the dearest first, beginning at x.
func (p *flamePainter) below(f *frame, level int, x float64) {
	var calls []*frame
	for _, c := range f.calls {
		calls = append(calls, c)
	}
	slices.SortFunc(calls, func(a, b *frame) int {
		return cmp.Or(cmp.Compare(b.value, a.value), cmp.Compare(a.fn.text(true), b.fn.text(true)))
	})
	for _, c := range calls {
		w := flameWidth * float64(c.value) / float64(p.total)
		if w < flameLeast || p.boxes >= flameBoxes {
			return // the rest is narrower still
		}
		p.boxes++
		title := fmt.Sprintf("%s\n%s, %.2f %%", c.fn.text(true), p.report.view.unit.text(c.value), share(c.value, p.total))
		p.box(x, level+1, w, short(c.fn.name), color(c.fn.name), title)
		p.below(c, level+1, x)
		x += w
	}
}

func (p *flamePainter) box(x float64, level int, w float64, label, fill, title string) {
	y := 2 + flameLine*float64(level)
	p.height = max(p.height, y+flameLine+2)
	p.rect(x, y, max(w-0.6, 0.6), flameLine-1.5, fill, title)
	if text := clip(label, int((w-6)/flameChar)); text != "" {
		fmt.Fprintf(p, `<g pointer-events="none">`)
		p.label(x+4, y+12.5, 11, "start", "#1e293b", text)
		fmt.Fprintf(p, `</g>`)
	}
}

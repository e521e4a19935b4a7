package builder

import (
	"fmt"

	"github.com/apus-storage/apus/ring"
)

// NextPartPower returns the partition power that is being prepared, or cleaned up after, and whether such an increase is
// under way.
func (b *Builder) NextPartPower() (uint, bool) {
	if b.nextPartPower < 0 {
		return 0, false
	}
	return uint(b.nextPartPower), true
}

// PrepareIncrease announces the next partition power, so that storage servers and the relinker put new and old objects
// under both partitions.
func (b *Builder) PrepareIncrease() error {
	switch {
	case b.nextPartPower >= 0:
		return fmt.Errorf("%w to %d is under way already", ErrPartPower, b.nextPartPower)
	case b.partPower >= ring.MaxPartPower:
		return fmt.Errorf("%w: the partition power is %d, the largest there is", ErrPartPower, b.partPower)
	}
	b.nextPartPower = int(b.partPower) + 1
	b.version++
	return nil
}

// Increase doubles the partitions: each is cut in two, which stay where it was.
func (b *Builder) Increase() error {
	if b.nextPartPower != int(b.partPower)+1 {
		return fmt.Errorf("%w: it was not prepared, or is done already", ErrPartPower)
	}
	for i, row := range b.rows {
		b.rows[i] = doubled(row)
	}
	b.lastMoves = doubled(b.lastMoves)
	b.partPower++
	b.version++
	b.countParts()
	if b.Rebalanced() {
		b.dispersion, b.graph = b.disperse()
	}
	return nil
}

func doubled[E any](s []E) []E {
	if s == nil {
		return nil
	}
	out := make([]E, 0, 2*len(s))
	for _, e := range s {
		out = append(out, e, e)
	}
	return out
}

// CancelIncrease takes back an increase that was prepared and not done. The links that the relinker made have to be
// cleaned up, then [Builder.FinishIncrease] ends it.
func (b *Builder) CancelIncrease() error {
	if b.nextPartPower != int(b.partPower)+1 {
		return fmt.Errorf("%w: there is nothing to cancel", ErrPartPower)
	}
	b.nextPartPower = int(b.partPower)
	b.version++
	return nil
}

// FinishIncrease ends an increase or its cancellation, once the relinker has cleaned up.
func (b *Builder) FinishIncrease() error {
	if b.nextPartPower != int(b.partPower) {
		return fmt.Errorf("%w: it was not done yet, or is finished already", ErrPartPower)
	}
	b.nextPartPower = -1
	b.version++
	return nil
}

//go:build !race

package middlewaretest

const raceDetector = false

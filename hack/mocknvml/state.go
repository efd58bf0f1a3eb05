package main

import (
	"encoding/json"
	"os"
	"strconv"
	"time"
)

// state is the file that says what moves; see README.md. It is read again when it changed, so a
// test writes a new one beside it and renames it.
type state struct {
	Card    string             `json:"card"`
	Count   *int               `json:"count"`
	Driver  string             `json:"driver_version"`
	Cuda    int                `json:"cuda_version"`
	All     map[string]any     `json:"all"`
	Cards   map[string]card    `json:"cards"`
	Fail    map[string]int     `json:"fail"`
	DelayMs map[string]float64 `json:"delay_ms"`
	Events  []event            `json:"events"`
}

type card struct {
	Values  map[string]any     `json:"values"`
	Mig     []map[string]any   `json:"mig"`
	Fail    map[string]int     `json:"fail"`
	DelayMs map[string]float64 `json:"delay_ms"`
}

type event struct {
	GPU      int    `json:"gpu"`
	Type     uint64 `json:"type"`
	Data     uint64 `json:"data"`
	Instance *int   `json:"instance"`
}

const lookEvery = 20 * time.Millisecond

var (
	now     state
	since   = time.Now() // that counters grow from
	changed time.Time
	looked  time.Time
)

func look(path string) {
	if path == "" || time.Since(looked) < lookEvery {
		return
	}
	looked = time.Now()
	info, err := os.Stat(path)
	if err != nil || info.ModTime().Equal(changed) {
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	var read state
	if json.Unmarshal(text, &read) == nil {
		now, changed = read, info.ModTime()
	}
}

func (c card) instance(mig int) map[string]any {
	if mig < 0 || mig >= len(c.Mig) {
		return nil
	}
	return c.Mig[mig]
}

// value is what the file has for a card or one of its instances; the instance does not take what
// it lacks from its card.
func value(gpu, mig int, key string) any {
	one := now.Cards[strconv.Itoa(gpu)]
	if mig >= 0 {
		return one.instance(mig)[key]
	}
	if found, ok := one.Values[key]; ok {
		return found
	}
	return now.All[key]
}

// number reads 12.5, or {"from": 12.5, "per_second": 3}, which grows.
func number(found any) (float64, bool) {
	switch v := found.(type) {
	case float64:
		return v, true
	case map[string]any:
		from, _ := v["from"].(float64)
		rate, _ := v["per_second"].(float64)
		return from + rate*time.Since(since).Seconds(), true
	}
	return 0, false
}

// fault is the code that a call is to give, and how long it is to take: of the card before those of
// all, of the call before those of "*".
func fault(gpu int, call string) (code int, delay time.Duration) {
	one := now.Cards[strconv.Itoa(gpu)]
	for _, name := range []string{"*", call} {
		for _, of := range []card{{Fail: now.Fail, DelayMs: now.DelayMs}, one} {
			if found, ok := of.Fail[name]; ok {
				code = found
			}
			if found, ok := of.DelayMs[name]; ok {
				delay = time.Duration(found * float64(time.Millisecond))
			}
		}
	}
	return code, delay
}

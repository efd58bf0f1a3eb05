// mocknvml is a libnvidia-ml.so.1 for tests. Who its cards are comes from NVIDIA's own mock servers
// (go-nvml); what they do comes from a file (state.go). shim.c has the entry points.
package main

/*
#include <stdlib.h>
#include <string.h>
*/
import "C"

import (
	"fmt"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxh100"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/gpus"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/server"
)

var kinds = map[string]gpus.Config{
	"":     gpus.H100_SXM5_80GB,
	"a30":  gpus.A30_PCIE_24GB,
	"a100": gpus.A100_SXM4_80GB,
	"h100": gpus.H100_SXM5_80GB,
	"h200": gpus.H200_SXM5_141GB,
	"b200": gpus.B200_SXM5_180GB,
}

var (
	mu     sync.Mutex
	node   *server.Server
	opened int
	path   string
)

//export mockOpen
func mockOpen(state *C.char) C.int {
	mu.Lock()
	defer mu.Unlock()
	path = C.GoString(state)
	look(path)
	if code, delay := fault(-1, "nvmlInit_v2"); code != 0 || delay != 0 {
		wait(delay)
		if code != 0 {
			return C.int(code)
		}
	}
	count := 1
	if now.Count != nil {
		count = *now.Count
	}
	node = dgxh100.NewWithGPUs(gpus.Multiple(count, kinds[now.Card])...)
	opened++
	return 0
}

//export mockClose
func mockClose() {
	mu.Lock()
	defer mu.Unlock()
	opened--
}

// mockEnter is the code that a call begins with: 0, or what the file wants of it.
//
//export mockEnter
func mockEnter(gpu C.int, call *C.char) C.int {
	mu.Lock()
	defer mu.Unlock()
	if opened == 0 {
		return C.int(nvml.ERROR_UNINITIALIZED)
	}
	look(path)
	code, delay := fault(int(gpu), C.GoString(call))
	wait(delay)
	return C.int(code)
}

func wait(delay time.Duration) { // as a call that hangs: the others go on
	if delay == 0 {
		return
	}
	mu.Unlock()
	time.Sleep(delay)
	mu.Lock()
}

//export mockCount
func mockCount() C.int {
	mu.Lock()
	defer mu.Unlock()
	return C.int(len(node.Devices))
}

//export mockMigCount
func mockMigCount(gpu C.int) C.int {
	mu.Lock()
	defer mu.Unlock()
	return C.int(len(now.Cards[strconv.Itoa(int(gpu))].Mig))
}

// mockNumber tells whether there is such a number, and gives it.
//
//export mockNumber
func mockNumber(gpu, mig C.int, key *C.char, out *C.double) C.int {
	mu.Lock()
	defer mu.Unlock()
	name := C.GoString(key)
	found, ok := number(value(int(gpu), int(mig), name))
	if !ok {
		found, ok = fact(int(gpu), int(mig), name)
	}
	*out = C.double(found)
	if ok {
		return 1
	}
	return 0
}

func fact(gpu, mig int, name string) (float64, bool) { // what go-nvml knows of a card
	if name == "cuda_version" {
		if now.Cuda != 0 {
			return float64(now.Cuda), true
		}
		return float64(node.CudaDriverVersion), true
	}
	if gpu < 0 || gpu >= len(node.Devices) || mig >= 0 {
		return 0, false
	}
	device := node.Devices[gpu]
	switch name {
	case "architecture":
		found, _ := device.GetArchitecture()
		return float64(found), true
	case "memory_total":
		found, _ := device.GetMemoryInfo()
		return float64(found.Total), true
	}
	return 0, false
}

// mockText copies a text of at most size-1 bytes, and gives a code of NVML.
//
//export mockText
func mockText(gpu, mig C.int, key *C.char, out *C.char, size C.uint) C.int {
	mu.Lock()
	defer mu.Unlock()
	found := text(int(gpu), int(mig), C.GoString(key))
	if found == "" {
		return C.int(nvml.ERROR_NOT_SUPPORTED)
	}
	if len(found) >= int(size) {
		return C.int(nvml.ERROR_INSUFFICIENT_SIZE)
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(out)), int(size)), found+"\x00")
	return 0
}

func text(gpu, mig int, name string) string {
	if found, ok := value(gpu, mig, name).(string); ok {
		return found
	}
	switch {
	case name == "driver_version" && now.Driver != "":
		return now.Driver
	case name == "driver_version":
		return node.DriverVersion
	case name == "nvml_version":
		return node.NvmlVersion
	case name == "uuid": // go-nvml draws a new one in each process
		return fmt.Sprintf("GPU-5ba1e000-0000-4000-8000-%012x", gpu)
	case name == "bus_id":
		return fmt.Sprintf("00000000:%02X:00.0", 0x1b+8*gpu)
	case name == "name":
		found, _ := node.Devices[gpu].GetName()
		return found
	}
	return ""
}

// mockProfile gives slices and MiB of a profile of MIG, from go-nvml's own table.
//
//export mockProfile
func mockProfile(gpu, profile C.int, slices *C.uint, mib *C.ulonglong) C.int {
	mu.Lock()
	defer mu.Unlock()
	found, code := node.Devices[gpu].GetGpuInstanceProfileInfo(int(profile))
	*slices, *mib = C.uint(found.SliceCount), C.ulonglong(found.MemorySizeMB)
	return C.int(code)
}

// mockEvent gives the nth event; 0: there is none yet.
//
//export mockEvent
func mockEvent(nth C.int, gpu, instance *C.int, kind, data *C.ulonglong) C.int {
	mu.Lock()
	defer mu.Unlock()
	look(path)
	if int(nth) >= len(now.Events) {
		return 0
	}
	found := now.Events[nth]
	*gpu, *kind, *data, *instance = C.int(found.GPU), C.ulonglong(found.Type), C.ulonglong(found.Data), -1
	if found.Instance != nil {
		*instance = C.int(*found.Instance)
	}
	return 1
}

func main() {}

/* The entry points, compiled against NVIDIA's nvml.h, so that the compiler holds every prototype and
 * layout to it. A call answers as a driver does for a card that lacks the feature (Not Supported)
 * where the file has no value for it. Functions that are not here are not exported at all. */
#define NVML_NO_UNVERSIONED_FUNC_DEFS
#include "nvml.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern int mockOpen(char *), mockEnter(int, char *), mockCount(void), mockMigCount(int);
extern void mockClose(void);
extern int mockNumber(int, int, char *, double *);
extern int mockText(int, int, char *, char *, unsigned);
extern int mockProfile(int, int, unsigned *, unsigned long long *);
extern int mockEvent(int, int *, int *, unsigned long long *, unsigned long long *);

enum { CARDS = 64, INSTANCES = 8 };
struct nvmlDevice_st { int gpu, mig; }; /* mig -1: the whole card */
static struct nvmlDevice_st handles[CARDS][INSTANCES + 1];

static nvmlDevice_t handle(int gpu, int mig) {
  nvmlDevice_t found = {&handles[gpu][mig + 1]};
  *found.handle = (struct nvmlDevice_st){gpu, mig};
  return found;
}
static int get(nvmlDevice_t d, const char *key, double *value) {
  return mockNumber(d.handle->gpu, d.handle->mig, (char *)key, value);
}

/* CALL: of the library; OF: of a device. Both return what the file wants returned. */
#define CALL() do { int code_ = mockEnter(-1, (char *)__func__); if (code_) return code_; } while (0)
#define OF(d) do { if (!(d).handle) return NVML_ERROR_INVALID_ARGUMENT; \
  int code_ = mockEnter((d).handle->gpu, (char *)__func__); if (code_) return code_; } while (0)
#define PUT(d, key, out) do { double v_; if (!get(d, key, &v_)) return NVML_ERROR_NOT_SUPPORTED; *(out) = v_; } while (0)
#define PUT_OR_0(d, key, out) do { double v_; *(out) = get(d, key, &v_) ? v_ : 0; } while (0)
#define NUMBER(function, type, key) \
  nvmlReturn_t function(nvmlDevice_t d, type *out) { OF(d); PUT(d, key, out); return NVML_SUCCESS; }
#define TEXT(function, key) \
  nvmlReturn_t function(nvmlDevice_t d, char *out, unsigned size) { OF(d); return mockText(d.handle->gpu, d.handle->mig, key, out, size); }

nvmlReturn_t nvmlInitWithFlags(unsigned flags) { (void)flags; char *file = getenv("MOCK_NVML_STATE"); return mockOpen(file ? file : ""); }
nvmlReturn_t nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
nvmlReturn_t nvmlShutdown(void) { CALL(); mockClose(); return NVML_SUCCESS; }
const char *nvmlErrorString(nvmlReturn_t code) { (void)code; return "A code that the bindings do not know"; }
nvmlReturn_t nvmlSystemGetDriverVersion(char *out, unsigned size) { CALL(); return mockText(-1, -1, "driver_version", out, size); }
nvmlReturn_t nvmlSystemGetNVMLVersion(char *out, unsigned size) { CALL(); return mockText(-1, -1, "nvml_version", out, size); }
nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *out) { CALL(); double v = 0; mockNumber(-1, -1, "cuda_version", &v); *out = v; return NVML_SUCCESS; }

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *out) { CALL(); *out = mockCount(); return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *out) {
  CALL(); if ((int)index >= mockCount()) return NVML_ERROR_INVALID_ARGUMENT;
  *out = handle(index, -1); OF(*out); return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t d, unsigned *out) { OF(d); *out = d.handle->mig < 0 ? d.handle->gpu : d.handle->mig; return NVML_SUCCESS; }
TEXT(nvmlDeviceGetUUID, "uuid")
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t d, char *out, unsigned size) { OF(d); return mockText(d.handle->gpu, -1, "name", out, size); }
nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t d, nvmlPciInfo_t *out) {
  OF(d); memset(out, 0, sizeof *out); return mockText(d.handle->gpu, -1, "bus_id", out->busId, sizeof out->busId);
}

NUMBER(nvmlDeviceGetPowerUsage, unsigned, "power_mw")
NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned, "power_limit_mw")
NUMBER(nvmlDeviceGetTotalEnergyConsumption, unsigned long long, "energy_mj")
NUMBER(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, "event_reasons")
NUMBER(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, "event_reasons")
nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t d, nvmlUtilization_t *out) {
  OF(d); double on; /* a card that is partitioned has none */
  if (d.handle->mig >= 0 || (get(d, "mig_mode", &on) && on)) return NVML_ERROR_NOT_SUPPORTED;
  PUT(d, "utilization", &out->gpu); PUT_OR_0(d, "memory_utilization", &out->memory); return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t d, nvmlTemperatureSensors_t sensor, unsigned *out) { OF(d); (void)sensor; PUT(d, "temperature", out); return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t d, nvmlTemperature_t *out) {
  OF(d); if (out->version != nvmlTemperature_v1) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  PUT(d, "temperature", &out->temperature); return NVML_SUCCESS;
}
static nvmlReturn_t clock_of(nvmlDevice_t d, nvmlClockType_t kind, const char *sm, const char *mem, unsigned *out) {
  if (kind != NVML_CLOCK_SM && kind != NVML_CLOCK_MEM) return NVML_ERROR_INVALID_ARGUMENT;
  PUT(d, kind == NVML_CLOCK_SM ? sm : mem, out); return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t d, nvmlClockType_t kind, unsigned *out) { OF(d); return clock_of(d, kind, "sm_clock", "memory_clock", out); }
nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t d, nvmlClockType_t kind, unsigned *out) { OF(d); return clock_of(d, kind, "max_sm_clock", "max_memory_clock", out); }
nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t d, nvmlMemory_t *out) {
  OF(d); double reserved = 0; PUT(d, "memory_total", &out->total); PUT(d, "memory_used", &out->used);
  get(d, "memory_reserved", &reserved); out->used += reserved; out->free = out->total - out->used; return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t d, nvmlMemory_v2_t *out) {
  OF(d); if (out->version != nvmlMemory_v2) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  PUT(d, "memory_total", &out->total); PUT(d, "memory_used", &out->used); PUT_OR_0(d, "memory_reserved", &out->reserved);
  out->free = out->total - out->used - out->reserved; return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t d, nvmlMemoryErrorType_t kind, nvmlEccCounterType_t since, unsigned long long *out) {
  OF(d); if (since != NVML_VOLATILE_ECC) return NVML_ERROR_NOT_SUPPORTED;
  PUT(d, kind == NVML_MEMORY_ERROR_TYPE_CORRECTED ? "ecc_corrected" : "ecc_uncorrected", out); return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t d, unsigned *corrected, unsigned *uncorrected, unsigned *pending, unsigned *failed) {
  OF(d); *corrected = *uncorrected = *pending = 0; PUT(d, "remap_failed", failed); return NVML_SUCCESS;
}

/* Field values: those that a function tells, too, by the same word; the others as "field.ID", and
 * with a link as "field.ID.LINK". Each can fail by "field:ID". */
static const struct { unsigned id; const char *key; nvmlValueType_t type; } FIELDS[] = {
  {NVML_FI_DEV_POWER_INSTANT, "power_mw", NVML_VALUE_TYPE_UNSIGNED_INT},
  {NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, "energy_mj", NVML_VALUE_TYPE_UNSIGNED_LONG_LONG},
  {NVML_FI_DEV_MEMORY_TEMP, "memory_temperature", NVML_VALUE_TYPE_UNSIGNED_INT},
  {NVML_FI_DEV_ECC_SBE_VOL_TOTAL, "ecc_corrected", NVML_VALUE_TYPE_UNSIGNED_LONG_LONG},
  {NVML_FI_DEV_ECC_DBE_VOL_TOTAL, "ecc_uncorrected", NVML_VALUE_TYPE_UNSIGNED_LONG_LONG},
  {NVML_FI_DEV_REMAPPED_FAILURE, "remap_failed", NVML_VALUE_TYPE_UNSIGNED_INT},
};
static void field(nvmlDevice_t d, nvmlFieldValue_t *f) {
  char key[48], call[32]; double value; int code; nvmlValueType_t type = NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
  snprintf(call, sizeof call, "field:%u", f->fieldId);
  if (f->scopeId && f->scopeId != ~0U) snprintf(key, sizeof key, "field.%u.%u", f->fieldId, f->scopeId);
  else snprintf(key, sizeof key, "field.%u", f->fieldId);
  for (unsigned i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++)
    if (FIELDS[i].id == f->fieldId) { snprintf(key, sizeof key, "%s", FIELDS[i].key); type = FIELDS[i].type; }
  if (!(code = mockEnter(d.handle->gpu, call)) && !get(d, key, &value)) code = NVML_ERROR_NOT_SUPPORTED;
  f->nvmlReturn = code; f->valueType = type; memset(&f->value, 0, sizeof f->value);
  if (code) return;
  if (type == NVML_VALUE_TYPE_UNSIGNED_INT) f->value.uiVal = value; else f->value.ullVal = value;
}
nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t d, int count, nvmlFieldValue_t *fields) {
  OF(d); for (int i = 0; i < count; i++) field(d, fields + i); return NVML_SUCCESS;
}

/* MIG */
nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t d, unsigned *mode, unsigned *pending) { OF(d); PUT(d, "mig_mode", mode); *pending = *mode; return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t d, unsigned *out) { OF(d); *out = INSTANCES - 1; return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t d, unsigned index, nvmlDevice_t *out) {
  OF(d); if (index >= INSTANCES || (int)index >= mockMigCount(d.handle->gpu)) return NVML_ERROR_NOT_FOUND;
  *out = handle(d.handle->gpu, index); return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t d, nvmlDevice_t *out) { OF(d); *out = handle(d.handle->gpu, -1); return NVML_SUCCESS; }
NUMBER(nvmlDeviceGetGpuInstanceId, unsigned, "gi")
nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t d, nvmlDeviceAttributes_t *out) {
  OF(d); int profile; memset(out, 0, sizeof *out); PUT(d, "profile", &profile);
  int code = mockProfile(d.handle->gpu, profile, &out->gpuInstanceSliceCount, &out->memorySizeMB);
  out->computeInstanceSliceCount = out->gpuInstanceSliceCount; return code;
}

/* GPM: two samples of the same device, and what lies between, as "gpm.METRIC". */
struct nvmlGpmSample_st { nvmlDevice_t device; struct timespec at; };
nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t d, nvmlGpmSupport_t *out) {
  OF(d); double architecture = 0; mockNumber(d.handle->gpu, -1, "architecture", &architecture);
  out->isSupportedDevice = architecture >= NVML_DEVICE_ARCH_HOPPER; return NVML_SUCCESS;
}
nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *out) { CALL(); out->handle = calloc(1, sizeof *out->handle); return NVML_SUCCESS; }
nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t sample) { free(sample.handle); return NVML_SUCCESS; }
static nvmlReturn_t gpm(nvmlDevice_t d, nvmlGpmSample_t sample) { sample.handle->device = d; clock_gettime(CLOCK_MONOTONIC, &sample.handle->at); return NVML_SUCCESS; }
nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t d, nvmlGpmSample_t sample) { OF(d); return gpm(d, sample); }
nvmlReturn_t nvmlGpmMigSampleGet(nvmlDevice_t d, unsigned instance, nvmlGpmSample_t sample) {
  OF(d); double gi;
  for (int i = 0; i < mockMigCount(d.handle->gpu) && i < INSTANCES; i++)
    if (get(handle(d.handle->gpu, i), "gi", &gi) && gi == instance) return gpm(handle(d.handle->gpu, i), sample);
  return NVML_ERROR_INVALID_ARGUMENT;
}
nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *out) {
  if (out->version != NVML_GPM_METRICS_GET_VERSION) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  struct nvmlGpmSample_st *a = out->sample1.handle, *b = out->sample2.handle;
  if (!a || !b || !a->device.handle || a->device.handle != b->device.handle) return NVML_ERROR_INVALID_ARGUMENT;
  if (b->at.tv_sec + b->at.tv_nsec / 1e9 <= a->at.tv_sec + a->at.tv_nsec / 1e9) return NVML_ERROR_INVALID_ARGUMENT;
  OF(a->device);
  for (unsigned i = 0; i < out->numMetrics; i++) {
    char key[24], call[24]; nvmlGpmMetric_t *m = out->metrics + i;
    snprintf(key, sizeof key, "gpm.%u", m->metricId); snprintf(call, sizeof call, "gpm:%u", m->metricId);
    m->nvmlReturn = mockEnter(a->device.handle->gpu, call);
    if (!m->nvmlReturn && !get(a->device, key, &m->value)) m->nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
  }
  return NVML_SUCCESS;
}

/* Events: each set gets every event of the file once, in order, if its card was registered. */
struct nvmlEventSet_st { int next; char cards[CARDS]; };
nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *out) { CALL(); out->handle = calloc(1, sizeof *out->handle); return NVML_SUCCESS; }
nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set) { free(set.handle); return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t d, unsigned long long kinds, nvmlEventSet_t set) {
  OF(d); if (kinds != nvmlEventTypeXidCriticalError) return NVML_ERROR_NOT_SUPPORTED;
  set.handle->cards[d.handle->gpu] = 1; return NVML_SUCCESS;
}
nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *out, unsigned milliseconds) {
  CALL();
  for (unsigned waited = 0;; waited += 10) {
    int gpu, instance; unsigned long long kind, data;
    while (mockEvent(set.handle->next, &gpu, &instance, &kind, &data)) {
      set.handle->next++;
      if (gpu < 0 || gpu >= CARDS || !set.handle->cards[gpu]) continue;
      *out = (nvmlEventData_t){handle(gpu, -1), kind, data, instance, instance}; return NVML_SUCCESS;
    }
    if (waited >= milliseconds) return NVML_ERROR_TIMEOUT;
    usleep(10000);
  }
}

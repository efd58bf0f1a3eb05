"""What the load runs on a device: three loops in PTX, which the driver itself compiles.

* `sidelight_fma`: multiplications and additions in registers, nothing else: bound by computing;
* `sidelight_tensor`: the same with the tensor cores (from Ampere on), as prefill is;
* `sidelight_copy`: memory to memory, 16 bytes a thread: bound by memory, as decode is.

Every kernel writes what it computed, so that nothing of it can be left out.
"""

THREADS = 256
"""Of a block."""
FMA_LANES = 8
"""Chains of each thread that do not wait for each other."""
UNROLLED = 4
FMA_OPERATIONS = 2 * FMA_LANES * UNROLLED
"""Of a thread in a round."""
TENSOR_LANES = 4
TENSOR_OPERATIONS = TENSOR_LANES * 2 * 16 * 8 * 16 // 32
"""Of a thread in a round; a warp of 32 makes the products together."""
PIECE_BYTES = 16

_LINES = "\n    "


def _loop(name: str, version: str, target: int, registers: str, start: list[str], body: list[str],
          result: str, total: list[str]) -> str:  # fmt: skip
    """A kernel with the arguments u64 where to write (f32 a thread) and u32 rounds."""
    return f""".version {version}
.target sm_{target}
.address_size 64

.visible .entry {name}(.param .u64 p_out, .param .u32 p_rounds)
{{
    .reg .pred %p;
    .reg .u32 %rounds, %block, %size, %place, %me;
    .reg .u64 %out, %step, %at;
    {registers}

    ld.param.u64 %out, [p_out];
    ld.param.u32 %rounds, [p_rounds];
    cvta.to.global.u64 %out, %out;
    mov.u32 %block, %ctaid.x;
    mov.u32 %size, %ntid.x;
    mov.u32 %place, %tid.x;
    mad.lo.u32 %me, %block, %size, %place;
    {_LINES.join(start)}
L_again:
    {_LINES.join(body)}
    sub.u32 %rounds, %rounds, 1;
    setp.ne.u32 %p, %rounds, 0;
    @%p bra L_again;
    {_LINES.join(total)}
    mul.wide.u32 %step, %me, 4;
    add.u64 %at, %out, %step;
    st.global.f32 [%at], {result};
    ret;
}}
"""


def fma() -> str:
    """`FMA_OPERATIONS` a thread and round."""
    lanes = [f"%a{n}" for n in range(FMA_LANES)]
    start = ["cvt.rn.f32.u32 %f, %me;", "mov.f32 %x, 0f3F7FFFFE;", "mov.f32 %y, 0f3A83126F;"]
    start += [f"add.f32 {lane}, %f, 0f{0x3F800000 + n:08X};" for n, lane in enumerate(lanes)]
    body = [f"fma.rn.f32 {lane}, {lane}, %x, %y;" for _ in range(UNROLLED) for lane in lanes]
    total = [f"add.f32 {lanes[0]}, {lanes[0]}, {lane};" for lane in lanes[1:]]
    registers = f".reg .f32 %x, %y, %f, %a<{FMA_LANES}>;"
    return _loop("sidelight_fma", "6.0", 70, registers, start, body, lanes[0], total)


def tensor() -> str:
    """`TENSOR_OPERATIONS` a thread and round, of half floats into floats."""
    sums = [f"%d{n}" for n in range(4 * TENSOR_LANES)]
    start = ["mov.b32 %h, 0x10001000;", *(f"mov.f32 {one}, 0f00000000;" for one in sums)]
    body = []
    for lane in range(TENSOR_LANES):
        mine = ", ".join(sums[4 * lane : 4 * lane + 4])
        body.append(
            "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
            f"{{{mine}}}, {{%h, %h, %h, %h}}, {{%h, %h}}, {{{mine}}};"
        )
    total = [f"add.f32 {sums[0]}, {sums[0]}, {one};" for one in sums[1:]]
    registers = f".reg .b32 %h;{_LINES}.reg .f32 %d<{len(sums)}>;"
    return _loop("sidelight_tensor", "7.0", 80, registers, start, body, sums[0], total)


def copy() -> str:
    """Arguments: u64 from, u64 to, u64 how many pieces of `PIECE_BYTES`."""
    return """.version 6.0
.target sm_70
.address_size 64

.visible .entry sidelight_copy(.param .u64 p_from, .param .u64 p_to, .param .u64 p_count)
{
    .reg .pred %p;
    .reg .u32 %block, %size, %place, %blocks, %w<4>;
    .reg .u64 %from, %to, %count, %me, %place64, %stride, %offset, %source, %target;

    ld.param.u64 %from, [p_from];
    ld.param.u64 %to, [p_to];
    ld.param.u64 %count, [p_count];
    cvta.to.global.u64 %from, %from;
    cvta.to.global.u64 %to, %to;
    mov.u32 %block, %ctaid.x;
    mov.u32 %size, %ntid.x;
    mov.u32 %place, %tid.x;
    mov.u32 %blocks, %nctaid.x;
    mul.wide.u32 %me, %block, %size;
    cvt.u64.u32 %place64, %place;
    add.u64 %me, %me, %place64;
    mul.wide.u32 %stride, %blocks, %size;
L_again:
    setp.ge.u64 %p, %me, %count;
    @%p bra L_done;
    shl.b64 %offset, %me, 4;
    add.u64 %source, %from, %offset;
    add.u64 %target, %to, %offset;
    ld.global.v4.u32 {%w0, %w1, %w2, %w3}, [%source];
    st.global.v4.u32 [%target], {%w0, %w1, %w2, %w3};
    add.u64 %me, %me, %stride;
    bra L_again;
L_done:
    ret;
}
"""

#include "textflag.h"

// The steps of RFC 1321. The words of state are in registers that change places from step to step; word is one of the block's.
// Two streams take turns, a step of each: what one has to wait for leaves the processor to the other.

#define ROUND1(a, b, c, d, word, constant, shift) \
	MOVL c, R12;        \
	ADDL word, a;       \
	XORL d, R12;        \
	ADDL constant, a;   \
	ANDL b, R12;        \
	XORL d, R12;        \
	ADDL R12, a;        \
	ROLL shift, a;      \
	ADDL b, a

// d chooses between the bits of b and c, which cannot both be set: adding is as good as OR, and b comes in late.
#define ROUND2(a, b, c, d, word, constant, shift) \
	MOVL d, R12;        \
	MOVL d, R13;        \
	ADDL word, a;       \
	NOTL R12;           \
	ADDL constant, a;   \
	ANDL c, R12;        \
	ANDL b, R13;        \
	ADDL R12, a;        \
	ADDL R13, a;        \
	ROLL shift, a;      \
	ADDL b, a

#define ROUND3(a, b, c, d, word, constant, shift) \
	MOVL c, R12;        \
	ADDL word, a;       \
	XORL d, R12;        \
	ADDL constant, a;   \
	XORL b, R12;        \
	ADDL R12, a;        \
	ROLL shift, a;      \
	ADDL b, a

#define ROUND4(a, b, c, d, word, constant, shift) \
	MOVL d, R12;        \
	ADDL word, a;       \
	NOTL R12;           \
	ADDL constant, a;   \
	ORL b, R12;         \
	XORL c, R12;        \
	ADDL R12, a;        \
	ROLL shift, a;      \
	ADDL b, a

// func blocks(s1, s2 *[4]uint32, p1, p2 *byte, n int)
TEXT ·blocks(SB), NOSPLIT, $0-40
	MOVQ p1+16(FP), SI
	MOVQ p2+24(FP), DI
	MOVQ s1+0(FP), R12
	MOVL 0(R12), AX
	MOVL 4(R12), BX
	MOVL 8(R12), CX
	MOVL 12(R12), DX
	MOVQ s2+8(FP), R12
	MOVL 0(R12), R8
	MOVL 4(R12), R9
	MOVL 8(R12), R10
	MOVL 12(R12), R11

loop:
	ROUND1(AX, BX, CX, DX, 0(SI), $0xd76aa478, $7)
	ROUND1(R8, R9, R10, R11, 0(DI), $0xd76aa478, $7)
	ROUND1(DX, AX, BX, CX, 4(SI), $0xe8c7b756, $12)
	ROUND1(R11, R8, R9, R10, 4(DI), $0xe8c7b756, $12)
	ROUND1(CX, DX, AX, BX, 8(SI), $0x242070db, $17)
	ROUND1(R10, R11, R8, R9, 8(DI), $0x242070db, $17)
	ROUND1(BX, CX, DX, AX, 12(SI), $0xc1bdceee, $22)
	ROUND1(R9, R10, R11, R8, 12(DI), $0xc1bdceee, $22)
	ROUND1(AX, BX, CX, DX, 16(SI), $0xf57c0faf, $7)
	ROUND1(R8, R9, R10, R11, 16(DI), $0xf57c0faf, $7)
	ROUND1(DX, AX, BX, CX, 20(SI), $0x4787c62a, $12)
	ROUND1(R11, R8, R9, R10, 20(DI), $0x4787c62a, $12)
	ROUND1(CX, DX, AX, BX, 24(SI), $0xa8304613, $17)
	ROUND1(R10, R11, R8, R9, 24(DI), $0xa8304613, $17)
	ROUND1(BX, CX, DX, AX, 28(SI), $0xfd469501, $22)
	ROUND1(R9, R10, R11, R8, 28(DI), $0xfd469501, $22)
	ROUND1(AX, BX, CX, DX, 32(SI), $0x698098d8, $7)
	ROUND1(R8, R9, R10, R11, 32(DI), $0x698098d8, $7)
	ROUND1(DX, AX, BX, CX, 36(SI), $0x8b44f7af, $12)
	ROUND1(R11, R8, R9, R10, 36(DI), $0x8b44f7af, $12)
	ROUND1(CX, DX, AX, BX, 40(SI), $0xffff5bb1, $17)
	ROUND1(R10, R11, R8, R9, 40(DI), $0xffff5bb1, $17)
	ROUND1(BX, CX, DX, AX, 44(SI), $0x895cd7be, $22)
	ROUND1(R9, R10, R11, R8, 44(DI), $0x895cd7be, $22)
	ROUND1(AX, BX, CX, DX, 48(SI), $0x6b901122, $7)
	ROUND1(R8, R9, R10, R11, 48(DI), $0x6b901122, $7)
	ROUND1(DX, AX, BX, CX, 52(SI), $0xfd987193, $12)
	ROUND1(R11, R8, R9, R10, 52(DI), $0xfd987193, $12)
	ROUND1(CX, DX, AX, BX, 56(SI), $0xa679438e, $17)
	ROUND1(R10, R11, R8, R9, 56(DI), $0xa679438e, $17)
	ROUND1(BX, CX, DX, AX, 60(SI), $0x49b40821, $22)
	ROUND1(R9, R10, R11, R8, 60(DI), $0x49b40821, $22)
	ROUND2(AX, BX, CX, DX, 4(SI), $0xf61e2562, $5)
	ROUND2(R8, R9, R10, R11, 4(DI), $0xf61e2562, $5)
	ROUND2(DX, AX, BX, CX, 24(SI), $0xc040b340, $9)
	ROUND2(R11, R8, R9, R10, 24(DI), $0xc040b340, $9)
	ROUND2(CX, DX, AX, BX, 44(SI), $0x265e5a51, $14)
	ROUND2(R10, R11, R8, R9, 44(DI), $0x265e5a51, $14)
	ROUND2(BX, CX, DX, AX, 0(SI), $0xe9b6c7aa, $20)
	ROUND2(R9, R10, R11, R8, 0(DI), $0xe9b6c7aa, $20)
	ROUND2(AX, BX, CX, DX, 20(SI), $0xd62f105d, $5)
	ROUND2(R8, R9, R10, R11, 20(DI), $0xd62f105d, $5)
	ROUND2(DX, AX, BX, CX, 40(SI), $0x02441453, $9)
	ROUND2(R11, R8, R9, R10, 40(DI), $0x02441453, $9)
	ROUND2(CX, DX, AX, BX, 60(SI), $0xd8a1e681, $14)
	ROUND2(R10, R11, R8, R9, 60(DI), $0xd8a1e681, $14)
	ROUND2(BX, CX, DX, AX, 16(SI), $0xe7d3fbc8, $20)
	ROUND2(R9, R10, R11, R8, 16(DI), $0xe7d3fbc8, $20)
	ROUND2(AX, BX, CX, DX, 36(SI), $0x21e1cde6, $5)
	ROUND2(R8, R9, R10, R11, 36(DI), $0x21e1cde6, $5)
	ROUND2(DX, AX, BX, CX, 56(SI), $0xc33707d6, $9)
	ROUND2(R11, R8, R9, R10, 56(DI), $0xc33707d6, $9)
	ROUND2(CX, DX, AX, BX, 12(SI), $0xf4d50d87, $14)
	ROUND2(R10, R11, R8, R9, 12(DI), $0xf4d50d87, $14)
	ROUND2(BX, CX, DX, AX, 32(SI), $0x455a14ed, $20)
	ROUND2(R9, R10, R11, R8, 32(DI), $0x455a14ed, $20)
	ROUND2(AX, BX, CX, DX, 52(SI), $0xa9e3e905, $5)
	ROUND2(R8, R9, R10, R11, 52(DI), $0xa9e3e905, $5)
	ROUND2(DX, AX, BX, CX, 8(SI), $0xfcefa3f8, $9)
	ROUND2(R11, R8, R9, R10, 8(DI), $0xfcefa3f8, $9)
	ROUND2(CX, DX, AX, BX, 28(SI), $0x676f02d9, $14)
	ROUND2(R10, R11, R8, R9, 28(DI), $0x676f02d9, $14)
	ROUND2(BX, CX, DX, AX, 48(SI), $0x8d2a4c8a, $20)
	ROUND2(R9, R10, R11, R8, 48(DI), $0x8d2a4c8a, $20)
	ROUND3(AX, BX, CX, DX, 20(SI), $0xfffa3942, $4)
	ROUND3(R8, R9, R10, R11, 20(DI), $0xfffa3942, $4)
	ROUND3(DX, AX, BX, CX, 32(SI), $0x8771f681, $11)
	ROUND3(R11, R8, R9, R10, 32(DI), $0x8771f681, $11)
	ROUND3(CX, DX, AX, BX, 44(SI), $0x6d9d6122, $16)
	ROUND3(R10, R11, R8, R9, 44(DI), $0x6d9d6122, $16)
	ROUND3(BX, CX, DX, AX, 56(SI), $0xfde5380c, $23)
	ROUND3(R9, R10, R11, R8, 56(DI), $0xfde5380c, $23)
	ROUND3(AX, BX, CX, DX, 4(SI), $0xa4beea44, $4)
	ROUND3(R8, R9, R10, R11, 4(DI), $0xa4beea44, $4)
	ROUND3(DX, AX, BX, CX, 16(SI), $0x4bdecfa9, $11)
	ROUND3(R11, R8, R9, R10, 16(DI), $0x4bdecfa9, $11)
	ROUND3(CX, DX, AX, BX, 28(SI), $0xf6bb4b60, $16)
	ROUND3(R10, R11, R8, R9, 28(DI), $0xf6bb4b60, $16)
	ROUND3(BX, CX, DX, AX, 40(SI), $0xbebfbc70, $23)
	ROUND3(R9, R10, R11, R8, 40(DI), $0xbebfbc70, $23)
	ROUND3(AX, BX, CX, DX, 52(SI), $0x289b7ec6, $4)
	ROUND3(R8, R9, R10, R11, 52(DI), $0x289b7ec6, $4)
	ROUND3(DX, AX, BX, CX, 0(SI), $0xeaa127fa, $11)
	ROUND3(R11, R8, R9, R10, 0(DI), $0xeaa127fa, $11)
	ROUND3(CX, DX, AX, BX, 12(SI), $0xd4ef3085, $16)
	ROUND3(R10, R11, R8, R9, 12(DI), $0xd4ef3085, $16)
	ROUND3(BX, CX, DX, AX, 24(SI), $0x04881d05, $23)
	ROUND3(R9, R10, R11, R8, 24(DI), $0x04881d05, $23)
	ROUND3(AX, BX, CX, DX, 36(SI), $0xd9d4d039, $4)
	ROUND3(R8, R9, R10, R11, 36(DI), $0xd9d4d039, $4)
	ROUND3(DX, AX, BX, CX, 48(SI), $0xe6db99e5, $11)
	ROUND3(R11, R8, R9, R10, 48(DI), $0xe6db99e5, $11)
	ROUND3(CX, DX, AX, BX, 60(SI), $0x1fa27cf8, $16)
	ROUND3(R10, R11, R8, R9, 60(DI), $0x1fa27cf8, $16)
	ROUND3(BX, CX, DX, AX, 8(SI), $0xc4ac5665, $23)
	ROUND3(R9, R10, R11, R8, 8(DI), $0xc4ac5665, $23)
	ROUND4(AX, BX, CX, DX, 0(SI), $0xf4292244, $6)
	ROUND4(R8, R9, R10, R11, 0(DI), $0xf4292244, $6)
	ROUND4(DX, AX, BX, CX, 28(SI), $0x432aff97, $10)
	ROUND4(R11, R8, R9, R10, 28(DI), $0x432aff97, $10)
	ROUND4(CX, DX, AX, BX, 56(SI), $0xab9423a7, $15)
	ROUND4(R10, R11, R8, R9, 56(DI), $0xab9423a7, $15)
	ROUND4(BX, CX, DX, AX, 20(SI), $0xfc93a039, $21)
	ROUND4(R9, R10, R11, R8, 20(DI), $0xfc93a039, $21)
	ROUND4(AX, BX, CX, DX, 48(SI), $0x655b59c3, $6)
	ROUND4(R8, R9, R10, R11, 48(DI), $0x655b59c3, $6)
	ROUND4(DX, AX, BX, CX, 12(SI), $0x8f0ccc92, $10)
	ROUND4(R11, R8, R9, R10, 12(DI), $0x8f0ccc92, $10)
	ROUND4(CX, DX, AX, BX, 40(SI), $0xffeff47d, $15)
	ROUND4(R10, R11, R8, R9, 40(DI), $0xffeff47d, $15)
	ROUND4(BX, CX, DX, AX, 4(SI), $0x85845dd1, $21)
	ROUND4(R9, R10, R11, R8, 4(DI), $0x85845dd1, $21)
	ROUND4(AX, BX, CX, DX, 32(SI), $0x6fa87e4f, $6)
	ROUND4(R8, R9, R10, R11, 32(DI), $0x6fa87e4f, $6)
	ROUND4(DX, AX, BX, CX, 60(SI), $0xfe2ce6e0, $10)
	ROUND4(R11, R8, R9, R10, 60(DI), $0xfe2ce6e0, $10)
	ROUND4(CX, DX, AX, BX, 24(SI), $0xa3014314, $15)
	ROUND4(R10, R11, R8, R9, 24(DI), $0xa3014314, $15)
	ROUND4(BX, CX, DX, AX, 52(SI), $0x4e0811a1, $21)
	ROUND4(R9, R10, R11, R8, 52(DI), $0x4e0811a1, $21)
	ROUND4(AX, BX, CX, DX, 16(SI), $0xf7537e82, $6)
	ROUND4(R8, R9, R10, R11, 16(DI), $0xf7537e82, $6)
	ROUND4(DX, AX, BX, CX, 44(SI), $0xbd3af235, $10)
	ROUND4(R11, R8, R9, R10, 44(DI), $0xbd3af235, $10)
	ROUND4(CX, DX, AX, BX, 8(SI), $0x2ad7d2bb, $15)
	ROUND4(R10, R11, R8, R9, 8(DI), $0x2ad7d2bb, $15)
	ROUND4(BX, CX, DX, AX, 36(SI), $0xeb86d391, $21)
	ROUND4(R9, R10, R11, R8, 36(DI), $0xeb86d391, $21)
	MOVQ s1+0(FP), R12
	ADDL 0(R12), AX
	ADDL 4(R12), BX
	ADDL 8(R12), CX
	ADDL 12(R12), DX
	MOVL AX, 0(R12)
	MOVL BX, 4(R12)
	MOVL CX, 8(R12)
	MOVL DX, 12(R12)
	MOVQ s2+8(FP), R12
	ADDL 0(R12), R8
	ADDL 4(R12), R9
	ADDL 8(R12), R10
	ADDL 12(R12), R11
	MOVL R8, 0(R12)
	MOVL R9, 4(R12)
	MOVL R10, 8(R12)
	MOVL R11, 12(R12)
	ADDQ $64, SI
	ADDQ $64, DI
	DECQ n+32(FP)
	JNZ  loop
	RET

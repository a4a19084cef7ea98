/* crc64: CRC-64/NVME of memory: polynomial 0xad93d23594c93659, reflected, initial value and final
 * XOR all ones; "123456789" gives 0xae8b14860a799888. ISA-L 2.30 does not have it.
 *
 * Three ways with the same result: tables (any CPU), carry-less multiplication of 128-bit words,
 * and of 512-bit words. crc64_update() takes the widest that this CPU has.
 *
 * References: NVM Express NVM Command Set Specification 1.0, 5.2.1.3.4; V. Gopal et al., "Fast CRC
 * Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009. */
#ifndef COMPRESS_CRC64_H
#define COMPRESS_CRC64_H

#include "core/base.h"

#define CRC64_POLYNOMIAL_REFLECTED 0x9a6c9329ac4bc9b5ull

enum crc64_way { CRC64_TABLES, CRC64_FOLD_128, CRC64_FOLD_512, CRC64_WAYS };

/* `crc`: of what came before, 0 at the start. Returns the CRC incl. `data`. */
uint64_t crc64_update(uint64_t crc, const void *data, size_t count);

/* For tests and benchmarks. */
bool crc64_has_way(enum crc64_way way); /* on this CPU */
uint64_t crc64_update_by(enum crc64_way way, uint64_t crc, const void *data, size_t count);

#endif

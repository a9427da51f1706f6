/** WebAssembly's integer instructions on numbers (i32, signed) and bigints (i64, signed). */
export type Value = number | bigint;

const S64 = (value: bigint) => BigInt.asIntN(64, value);
const U64 = (value: bigint) => BigInt.asUintN(64, value);

/** The result, or undefined for an opcode that is not one of them. Throws on a trap. */
export function binary(op: number, x: Value, y: Value): Value | undefined {
  if (typeof x === "number" && typeof y === "number") return binary32(op, x, y);
  return binary64(op, x as bigint, y as bigint);
}

function binary32(op: number, x: number, y: number): number | undefined {
  const [a, b] = [x >>> 0, y >>> 0];
  switch (op) {
    case 0x46:
      return x === y ? 1 : 0;
    case 0x47:
      return x !== y ? 1 : 0;
    case 0x48:
      return x < y ? 1 : 0;
    case 0x49:
      return a < b ? 1 : 0;
    case 0x4a:
      return x > y ? 1 : 0;
    case 0x4b:
      return a > b ? 1 : 0;
    case 0x4c:
      return x <= y ? 1 : 0;
    case 0x4d:
      return a <= b ? 1 : 0;
    case 0x4e:
      return x >= y ? 1 : 0;
    case 0x4f:
      return a >= b ? 1 : 0;
    case 0x6a:
      return (x + y) | 0;
    case 0x6b:
      return (x - y) | 0;
    case 0x6c:
      return Math.imul(x, y);
    case 0x6d:
      if (y === 0 || (x === -(2 ** 31) && y === -1)) throw new Error("trap: division");
      return (x / y) | 0;
    case 0x6e:
      if (y === 0) throw new Error("trap: division by zero");
      return (a / b) | 0;
    case 0x6f:
      if (y === 0) throw new Error("trap: division by zero");
      return y === -1 ? 0 : (x % y) | 0;
    case 0x70:
      if (y === 0) throw new Error("trap: division by zero");
      return (a % b) | 0;
    case 0x71:
      return x & y;
    case 0x72:
      return x | y;
    case 0x73:
      return x ^ y;
    case 0x74:
      return x << y;
    case 0x75:
      return x >> y;
    case 0x76:
      return (x >>> y) | 0;
    case 0x77:
      return (y & 31) === 0 ? x : (x << y) | (x >>> (32 - (y & 31)));
    case 0x78:
      return (y & 31) === 0 ? x : (x >>> y) | (x << (32 - (y & 31)));
    default:
      return undefined;
  }
}

function binary64(op: number, x: bigint, y: bigint): Value | undefined {
  const [a, b] = [U64(x), U64(y)];
  const shift = b & 63n;
  switch (op) {
    case 0x51:
      return x === y ? 1 : 0;
    case 0x52:
      return x !== y ? 1 : 0;
    case 0x53:
      return x < y ? 1 : 0;
    case 0x54:
      return a < b ? 1 : 0;
    case 0x55:
      return x > y ? 1 : 0;
    case 0x56:
      return a > b ? 1 : 0;
    case 0x57:
      return x <= y ? 1 : 0;
    case 0x58:
      return a <= b ? 1 : 0;
    case 0x59:
      return x >= y ? 1 : 0;
    case 0x5a:
      return a >= b ? 1 : 0;
    case 0x7c:
      return S64(x + y);
    case 0x7d:
      return S64(x - y);
    case 0x7e:
      return S64(x * y);
    case 0x7f:
    case 0x80:
    case 0x81:
    case 0x82:
      if (y === 0n) throw new Error("trap: division by zero");
      return S64(op === 0x7f ? x / y : op === 0x80 ? a / b : op === 0x81 ? x % y : a % b);
    case 0x83:
      return x & y;
    case 0x84:
      return x | y;
    case 0x85:
      return x ^ y;
    case 0x86:
      return S64(x << shift);
    case 0x87:
      return S64(x >> shift);
    case 0x88:
      return S64(a >> shift);
    case 0x89:
      return S64((a << shift) | (a >> (64n - shift)));
    case 0x8a:
      return S64((a >> shift) | (a << (64n - shift)));
    default:
      return undefined;
  }
}

export function unary(op: number, x: Value): Value | undefined {
  if (typeof x === "number") {
    switch (op) {
      case 0x45:
        return x === 0 ? 1 : 0;
      case 0x67:
        return Math.clz32(x);
      case 0x68:
        return x === 0 ? 32 : 31 - Math.clz32(x & -x);
      case 0x69:
        return ones(BigInt(x >>> 0));
      case 0xac:
        return BigInt(x);
      case 0xad:
        return BigInt(x >>> 0);
      case 0xc0:
        return (x << 24) >> 24;
      case 0xc1:
        return (x << 16) >> 16;
      default:
        return undefined;
    }
  }
  switch (op) {
    case 0x50:
      return x === 0n ? 1 : 0;
    case 0x79:
      return BigInt(x === 0n ? 64 : 64 - U64(x).toString(2).length);
    case 0x7a:
      return BigInt(x === 0n ? 64 : U64(x & -x).toString(2).length - 1);
    case 0x7b:
      return BigInt(ones(U64(x)));
    case 0xa7:
      return Number(BigInt.asIntN(32, x));
    case 0xc2:
      return BigInt.asIntN(8, x);
    case 0xc3:
      return BigInt.asIntN(16, x);
    case 0xc4:
      return BigInt.asIntN(32, x);
    default:
      return undefined;
  }
}

function ones(value: bigint): number {
  return value.toString(2).replaceAll("0", "").length;
}

/** Debian packages that tests and benchmarks talk to. Installed where this may, named where it may not: a test is never skipped for one. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

export interface DebianPackage {
  readonly name: string;
  /** A file that is there when it is installed. */
  readonly proof: string;
}

const PACKAGES: readonly DebianPackage[] = [
  { name: "mosquitto", proof: "/usr/sbin/mosquitto" },
  { name: "mosquitto-clients", proof: "/usr/bin/mosquitto_sub" },
  { name: "prometheus", proof: "/usr/bin/promtool" },
  { name: "gcc", proof: "/usr/bin/gcc" },
  { name: "gcc-arm-none-eabi", proof: "/usr/bin/arm-none-eabi-gcc" },
  { name: "libnewlib-arm-none-eabi", proof: "/usr/lib/arm-none-eabi/newlib" },
  { name: "openssl", proof: "/usr/bin/openssl" },
  { name: "chromium", proof: "/usr/bin/chromium" },
  { name: "fonts-dejavu-core", proof: "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf" },
  { name: "socat", proof: "/usr/bin/socat" },
  { name: "iproute2", proof: "/usr/sbin/ip" },
  { name: "nftables", proof: "/usr/sbin/nft" },
];

/** False, with the names said, when some are missing and cannot be installed. By default, what the tests need. */
export function installDebianPackages(packages: readonly DebianPackage[] = PACKAGES): boolean {
  const missing = () => packages.filter(({ proof }) => !existsSync(proof)).map(({ name }) => name);
  const names = missing();
  if (names.length === 0) return true;
  console.error(`the Debian packages ${names.join(", ")} are needed; installing them`);
  if (process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    spawnSync("apt-get", ["update", "-q"], { stdio: ["ignore", 2, 2], env });
    spawnSync("apt-get", ["install", "-y", "-q", "--no-install-recommends", ...names], {
      stdio: ["ignore", 2, 2],
      env,
    });
  }
  const still = missing();
  if (still.length > 0)
    console.error(
      `missing: ${still.join(", ")}. Install them (apt-get install ${still.join(" ")}) and run it again.`,
    );
  return still.length === 0;
}

"""Files of three other generator seeds upgrade to their truth.

Usage: other_seeds_test.py GENERATOR MIGRATE_STEPS_TEST
"""

import os
import subprocess
import sys
import tempfile


def main() -> int:
    generator, test = sys.argv[1:]
    for seed in (2, 3, 4):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, generator, folder, "--seed", str(seed)], check=True, stdout=subprocess.DEVNULL)
            environment = {**os.environ, "REPRISE_LEGACY_DIR": folder}
            if subprocess.run([test, "--gtest_filter=Upgrade.*"], env=environment).returncode != 0:
                print(f"seed {seed} failed")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

// SPDX-License-Identifier: MPL-2.0
//! `--check`: each target, its figure, and whether it is met, for a script.

use crate::targets::{Target, Verdict};

/// Prints them, and says whether none is missed by more than its noise.
pub(crate) fn print(targets: &[(String, Vec<Target>)]) -> bool {
    let mut missed = 0;
    println!();
    for (of, targets) in targets {
        let name = of.split(':').next().unwrap_or(of);
        for target in targets {
            let verdict = match target.verdict {
                Verdict::None => continue,
                Verdict::Met => "met",
                Verdict::WithinNoise => "missed within its noise",
                Verdict::Missed => "MISSED",
            };
            missed += usize::from(target.verdict == Verdict::Missed);
            println!("{verdict}: {name}: {}: {} ({})", target.what, target.figure, target.target);
        }
    }
    println!("{missed} missed by more than their noise");
    missed == 0
}

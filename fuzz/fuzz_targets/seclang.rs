#![no_main]

use sockwarden_testkit::parsers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parsers::seclang(bytes));

//! Compiles the C++ baselines with the optimisation that Genode uses.

fn main() {
    println!("cargo::rerun-if-changed=cpp");
    println!("cargo::rerun-if-changed=../ffi/include/cap_map.h");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .opt_level(2)
        .flag_if_supported("-fno-exceptions")
        .flag_if_supported("-fno-rtti")
        .include("cpp")
        .include("../ffi/include")
        .file("cpp/maps.cc")
        .compile("baselines");
}

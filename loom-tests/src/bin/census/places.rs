//! Finds every atomic operation and fence in core's source, and what weakens it.
//!
//! The source is parsed, module by module from `lib.rs`, so that comments, tests and what is not
//! compiled do not count. `sync` is left out: it is what the models replace. An operation is a call with
//! memory orderings among its arguments. An ordering that is written anywhere else (in a constant, a
//! macro, a variable) is an error: nobody should be able to hide one from the census.
//!
//! A place has a name that survives edits elsewhere: file, function, operation, and, from the second
//! one of its kind in the function on, a number.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// What says that a path is a memory ordering.
const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];

/// An atomic operation, or a fence.
#[derive(Debug)]
pub struct Place {
    /// The file, from `core/src`.
    pub file: String,
    /// File, function, operation, number.
    pub name: String,
    /// The operation's bytes in the file.
    pub range: Range<usize>,
    /// Changes when the operation's text does.
    pub hash: String,
    /// The models that the file's header names, in its order.
    pub models: Vec<String>,
    /// Each ordering of the operation, and what weakens it.
    pub orderings: Vec<Ordering>,
}

/// An ordering of a place.
#[derive(Debug)]
pub struct Ordering {
    /// How it is written, for a pair with which half it is.
    pub written: String,
    /// Its bytes in the file.
    pub range: Range<usize>,
    /// What weakens it one step; nothing if it is relaxed.
    pub weaker: Vec<Weaker>,
}

/// An ordering, weakened one step.
#[derive(Debug)]
pub struct Weaker {
    /// From what to what.
    pub name: String,
    /// The weaker ordering; `None` if the operation is left out.
    pub ordering: Option<&'static str>,
}

/// Every place in the source below `root`, in the order of the files and of their lines.
pub fn find(root: &Path) -> Result<Vec<Place>, String> {
    let mut places = Vec::new();
    find_in_module(root, &root.join("lib.rs"), &mut places)?;
    places.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(places)
}

fn find_in_module(root: &Path, path: &Path, places: &mut Vec<Place>) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let name = path.strip_prefix(root).unwrap_or(path).display().to_string().replace('\\', "/");
    let found = find_in_text(&name, &text)?;
    places.extend(found.places);
    let mut below = path.with_extension("");
    if ["lib", "mod"].iter().any(|stem| below.ends_with(stem)) {
        below.pop();
    }
    for module in found.modules {
        if name == "lib.rs" && module == "sync" {
            continue;
        }
        let candidates = [below.join(format!("{module}.rs")), below.join(&module).join("mod.rs")];
        let path: Option<&PathBuf> = candidates.iter().find(|path| path.exists());
        let path = path.ok_or_else(|| format!("{name}: the file of `mod {module}` is missing"))?;
        find_in_module(root, path, places)?;
    }
    Ok(())
}

/// What one file has.
struct Found {
    places: Vec<Place>,
    /// The modules in files of their own.
    modules: Vec<String>,
}

fn find_in_text(file: &str, text: &str) -> Result<Found, String> {
    let parsed = syn::parse_file(text).map_err(|error| format!("{file}: {error}"))?;
    let mut finder = Finder {
        file,
        models: models_in_header(text),
        path: Vec::new(),
        counts: BTreeMap::new(),
        found: Found { places: Vec::new(), modules: Vec::new() },
        errors: Vec::new(),
    };
    finder.visit_file(&parsed);
    if finder.errors.is_empty() { Ok(finder.found) } else { Err(finder.errors.join("\n")) }
}

/// The names in back quotes behind "Models:" at the end of a file's header.
fn models_in_header(text: &str) -> Vec<String> {
    let header: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let header = header.join("\n");
    let named = header.rsplit_once("\n Models:").map_or("", |(_, named)| named);
    named.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// A hash that does not depend on the machine or on the formatting (FNV-1a, folded to 32 bits).
pub fn hash(text: &str) -> String {
    let bytes = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff))
}

struct Finder<'a> {
    file: &'a str,
    models: Vec<String>,
    /// Types, modules and functions around what is visited.
    path: Vec<String>,
    counts: BTreeMap<String, usize>,
    found: Found,
    errors: Vec<String>,
}

/// The ordering that an expression is, if it is one.
fn ordering_of(expression: &syn::Expr) -> Option<String> {
    let syn::Expr::Path(path) = expression else { return None };
    let last = path.path.segments.last()?.ident.to_string();
    ORDERINGS.contains(&last.as_str()).then_some(last)
}

/// Whether one of the attributes keeps an item out of everything but tests.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    fn means_test(meta: &syn::Meta) -> bool {
        match meta {
            syn::Meta::Path(path) => path.is_ident("test"),
            syn::Meta::List(list) if list.path.is_ident("all") => {
                type All = syn::punctuated::Punctuated<syn::Meta, syn::Token![,]>;
                list.parse_args_with(All::parse_terminated)
                    .is_ok_and(|all| all.iter().any(means_test))
            }
            _ => false,
        }
    }
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Meta>().is_ok_and(|meta| means_test(&meta))
    })
}

impl Finder<'_> {
    fn within(&mut self, name: String, visit: impl FnOnce(&mut Self)) {
        self.path.push(name);
        visit(self);
        self.path.pop();
    }

    fn error(&mut self, line: usize, what: &str) {
        self.errors.push(format!("{}:{line}: {what}", self.file));
    }

    /// A call: `true` if it has orderings, and is a place.
    fn call(
        &mut self,
        operation: &str,
        whole: &(impl ToTokens + Spanned),
        arguments: &syn::punctuated::Punctuated<syn::Expr, syn::Token![,]>,
    ) -> bool {
        let found: Vec<(usize, &syn::Expr, String)> = arguments
            .iter()
            .enumerate()
            .filter_map(|(index, argument)| Some((index, argument, ordering_of(argument)?)))
            .collect();
        if found.is_empty() {
            return false;
        }
        let halves: &[&str] = match operation {
            "compare_exchange" | "compare_exchange_weak" => &["success ", "failure "],
            "fetch_update" => &["set ", "fetch "],
            _ => &[""],
        };
        if found.len() != halves.len() {
            let line = whole.span().start().line;
            self.error(line, &format!("{operation} with {} orderings", found.len()));
            return true;
        }
        let orderings = found
            .iter()
            .zip(halves)
            .map(|((_, argument, ordering), half)| Ordering {
                written: format!("{half}{ordering}"),
                range: argument.span().byte_range(),
                weaker: weaker(operation, half, ordering)
                    .iter()
                    .map(|&weaker| Weaker {
                        name: format!("{half}{ordering} -> {}", weaker.unwrap_or("removed")),
                        ordering: weaker,
                    })
                    .collect(),
            })
            .collect();
        let mut name = format!("{} {} {operation}", self.file, self.path.join("::"));
        let count = self.counts.entry(name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            name = format!("{name} {count}");
        }
        self.found.places.push(Place {
            file: self.file.to_owned(),
            name,
            range: whole.span().byte_range(),
            hash: hash(&whole.to_token_stream().to_string()),
            models: self.models.clone(),
            orderings,
        });
        true
    }
}

/// The orderings one step weaker; none stands for leaving the operation out.
fn weaker(operation: &str, half: &str, ordering: &str) -> &'static [Option<&'static str>] {
    let loads = operation == "load" || half == "failure " || half == "fetch ";
    match (operation, ordering) {
        ("fence", "Acquire" | "Release") => &[None],
        (_, "Acquire" | "Release") => &[Some("Relaxed")],
        (_, "AcqRel") => &[Some("Acquire"), Some("Release")],
        (_, "SeqCst") if loads => &[Some("Acquire")],
        ("store", "SeqCst") => &[Some("Release")],
        (_, "SeqCst") => &[Some("AcqRel")],
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes: &[syn::Attribute] = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, _: &'ast syn::ItemUse) {}

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.attrs.iter().any(|attribute| attribute.path().is_ident("path")) {
            self.error(module.span().start().line, "a module with a path of its own");
        }
        if module.content.is_none() {
            self.found.modules.push(module.ident.to_string());
        }
        self.within(module.ident.to_string(), |this| visit::visit_item_mod(this, module));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let name = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        let name = name.unwrap_or_else(|| item.self_ty.to_token_stream().to_string());
        self.within(name, |this| visit::visit_item_impl(this, item));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.within(item.ident.to_string(), |this| visit::visit_item_trait(this, item));
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.within(item.sig.ident.to_string(), |this| visit::visit_item_fn(this, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            let name = item.sig.ident.to_string();
            self.within(name, |this| visit::visit_impl_item_fn(this, item));
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        let name = item.sig.ident.to_string();
        self.within(name, |this| visit::visit_trait_item_fn(this, item));
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.visit_expr(&call.receiver);
        let is_place = self.call(&call.method.to_string(), call, &call.args);
        call.args
            .iter()
            .filter(|argument| !is_place || ordering_of(argument).is_none())
            .for_each(|argument| self.visit_expr(argument));
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        self.visit_expr(&call.func);
        let name = match &*call.func {
            syn::Expr::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        let is_place = self.call(&name.unwrap_or_default(), call, &call.args);
        call.args
            .iter()
            .filter(|argument| !is_place || ordering_of(argument).is_none())
            .for_each(|argument| self.visit_expr(argument));
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        if ordering_of(&syn::Expr::Path(path.clone())).is_some() {
            let line = path.span().start().line;
            self.error(
                line,
                "an ordering that is no argument of a call: the census cannot weaken it",
            );
        }
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        fn names_one(tokens: proc_macro2::TokenStream) -> bool {
            tokens.into_iter().any(|token| match token {
                proc_macro2::TokenTree::Ident(name) => {
                    ORDERINGS.contains(&name.to_string().as_str())
                }
                proc_macro2::TokenTree::Group(group) => names_one(group.stream()),
                _ => false,
            })
        }
        if names_one(mac.tokens.clone()) {
            self.error(
                mac.span().start().line,
                "an ordering inside a macro: the census cannot read it",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<Place> {
        find_in_text("a.rs", text).unwrap().places
    }

    fn rows(text: &str) -> Vec<String> {
        let rows = places(text).into_iter().flat_map(|place| {
            let name = place.name;
            place.orderings.into_iter().flat_map(move |ordering| {
                let weaker: Vec<String> =
                    ordering.weaker.into_iter().map(|weaker| weaker.name).collect();
                let weaker = if weaker.is_empty() { vec![ordering.written] } else { weaker };
                weaker.into_iter().map(|weaker| format!("{name}: {weaker}")).collect::<Vec<_>>()
            })
        });
        rows.collect()
    }

    #[test]
    fn places_have_names_and_weaker_orderings() {
        let text = "
            impl<T> Cell<T> {
                fn get(&self) {
                    self.a.load(Ordering::Acquire) + self.a.load(Relaxed);
                    let _ = || self.b.x().swap(1, atomic::Ordering::AcqRel);
                }
                fn set(&self) {
                    self.a.compare_exchange(self.b.load(Ordering::SeqCst), 1,
                        Ordering::Release, // why
                        Ordering::Acquire);
                    fence(Ordering::Acquire);
                    fence(Ordering::SeqCst);
                }
            }
            fn free() { X.store(1, Ordering::SeqCst); Y.fetch_add(1, Ordering::SeqCst); }";
        assert_eq!(
            rows(text),
            [
                "a.rs Cell::get load: Acquire -> Relaxed",
                "a.rs Cell::get load 2: Relaxed",
                "a.rs Cell::get swap: AcqRel -> Acquire",
                "a.rs Cell::get swap: AcqRel -> Release",
                "a.rs Cell::set compare_exchange: success Release -> Relaxed",
                "a.rs Cell::set compare_exchange: failure Acquire -> Relaxed",
                "a.rs Cell::set load: SeqCst -> Acquire",
                "a.rs Cell::set fence: Acquire -> removed",
                "a.rs Cell::set fence 2: SeqCst -> AcqRel",
                "a.rs free store: SeqCst -> Release",
                "a.rs free fetch_add: SeqCst -> AcqRel",
            ]
        );
    }

    #[test]
    fn ranges_are_those_of_the_operation_and_of_its_orderings() {
        let text = "fn f() { /* ä */ x.swap(1, Ordering::Release); fence(Acquire); }";
        let ranges: Vec<(&str, &str)> = places(text)
            .iter()
            .map(|place| (&text[place.range.clone()], &text[place.orderings[0].range.clone()]))
            .collect();
        assert_eq!(
            ranges,
            [("x.swap(1, Ordering::Release)", "Ordering::Release"), ("fence(Acquire)", "Acquire")]
        );
    }

    #[test]
    fn tests_and_imports_do_not_count_and_a_hash_is_of_the_operation() {
        let place = "fn f() { x.load(Ordering::Acquire); }";
        let more = "use Ordering::Relaxed; #[cfg(test)] mod tests { fn g() { x.load(Relaxed); } }
            #[cfg(all(test, not(a)))] mod more { fn g() { assert!(x.load(Relaxed)); } }
            #[cfg(test)] mod tests;
            fn f() { let y = 1; // comment
                x . load( // comment
                    Ordering::Acquire); }";
        let (one, other) = (places(place), places(more));
        assert_eq!((one.len(), other.len()), (1, 1));
        assert_eq!(one[0].hash, other[0].hash);
        assert_ne!(one[0].hash, places(&place.replace('x', "y"))[0].hash);
    }

    #[test]
    fn an_ordering_that_cannot_be_weakened_is_an_error() {
        for hidden in [
            "const ORDER: Ordering = Ordering::Relaxed;",
            "fn f() { let order = Relaxed; x.load(order) }",
            "fn f() { assert!(x.load(Ordering::Relaxed)); }",
            "fn f() { x.compare_exchange(1, 2, order, Ordering::Relaxed); }",
            "fn f() { match order { Ordering::Relaxed => {} _ => {} } }",
        ] {
            assert!(find_in_text("a.rs", hidden).is_err(), "{hidden}");
        }
    }

    #[test]
    fn the_header_names_models() {
        let text = "//! Title\n//!\n//! Models: `one`, `two`,\n//! `three`.\n\nuse a::`b`;\n";
        assert_eq!(models_in_header(text), ["one", "two", "three"]);
    }
}

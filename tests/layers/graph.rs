//! The modules of a crate, and which of them each uses, as the compiler's grammar reads them.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility};

/// A path as written: `crate`, `self` and `super` are resolved, a first name of another kind is not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Written {
    /// From the root of the crate.
    Absolute(Vec<String>),
    /// From the names in scope: a child, an import, or another crate.
    Bare(Vec<String>),
}

/// One module, inline modules included.
#[derive(Debug, Default)]
pub struct Module {
    pub path: Vec<String>,
    pub file: String,
    pub uses: BTreeSet<Written>,
    /// Names that `use` brings in, with where they come from.
    imports: BTreeMap<String, Written>,
    globs: Vec<Written>,
    items: BTreeSet<String>,
}

/// All modules that ship: what is compiled for tests only is left out.
#[derive(Debug, Default)]
pub struct Tree {
    pub modules: BTreeMap<Vec<String>, Module>,
}

impl Tree {
    /// Follows `mod` from `root`. `sources` are files with their text, by their path inside the folder.
    pub fn read(sources: &BTreeMap<String, String>, root: &str) -> Self {
        let mut tree = Self::default();
        tree.add(sources, root, Vec::new());
        tree
    }

    fn add(&mut self, sources: &BTreeMap<String, String>, file: &str, path: Vec<String>) {
        let text = sources.get(file).unwrap_or_else(|| panic!("{file} is declared as a module, and is not there"));
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut reader = Reader { tree: self, file, path, files: Vec::new() };
        reader.module(&parsed.items);
        for child in reader.files {
            let folder = child.join("/");
            let candidates = [format!("{folder}.rs"), format!("{folder}/mod.rs")];
            let found = candidates.iter().find(|name| sources.contains_key(*name));
            self.add(sources, found.unwrap_or_else(|| panic!("{file}: no file for mod {folder}")), child);
        }
    }

    /// The module in which the item at `path` is defined: imports are followed.
    pub fn home(&self, from: &[String], written: &Written) -> Option<&Module> {
        self.locate(from, written, 8)
    }

    fn locate(&self, from: &[String], written: &Written, patience: u8) -> Option<&Module> {
        let patience = patience.checked_sub(1)?;
        let (mut at, names) = match written {
            Written::Absolute(names) => (self.modules.get(&Vec::new())?, names),
            Written::Bare(names) => (self.modules.get(from)?, names),
        };
        for (index, name) in names.iter().enumerate() {
            let rest = &names[index + 1..];
            let child = [&at.path[..], std::slice::from_ref(name)].concat();
            if let Some(module) = self.modules.get(&child) {
                at = module;
                continue;
            }
            if at.items.contains(name) {
                return Some(at);
            }
            if let Some(import) = at.imports.get(name) {
                let onward = import.followed_by(rest);
                return (onward != *written || at.path != from).then(|| self.locate(&at.path, &onward, patience))?;
            }
            let by_glob = at.globs.iter().find_map(|glob| {
                self.locate(&at.path, &glob.followed_by(&names[index..]), patience)
                    .filter(|module| rest.is_empty() && module.items.contains(name))
            });
            let is_local = matches!(written, Written::Absolute(_)) || index > 0;
            return by_glob.or(is_local.then_some(at));
        }
        Some(at)
    }

    /// Whether the first name of a bare path is something of this crate, and not another crate of that name.
    fn is_local(&self, module: &Module, name: &str) -> bool {
        let child = [&module.path[..], &[name.to_owned()]].concat();
        let is_import_of_ours = match module.imports.get(name) {
            Some(Written::Absolute(_)) => true,
            Some(Written::Bare(names)) => names.first().is_none_or(|first| first != name),
            None => false,
        };
        self.modules.contains_key(&child) || module.items.contains(name) || is_import_of_ours
    }

    /// The other crates that a module names, among `known`.
    pub fn crates<'a>(&self, module: &'a Module, known: &BTreeSet<String>) -> BTreeSet<&'a str> {
        let bare = module.uses.iter().filter_map(|written| match written {
            Written::Bare(names) => names.first().map(String::as_str),
            Written::Absolute(_) => None,
        });
        bare.filter(|name| known.contains(*name) && !self.is_local(module, name)).collect()
    }
}

impl Written {
    fn followed_by(&self, rest: &[String]) -> Self {
        match self {
            Self::Absolute(names) => Self::Absolute([names, rest].concat()),
            Self::Bare(names) => Self::Bare([names, rest].concat()),
        }
    }
}

struct Reader<'a> {
    tree: &'a mut Tree,
    file: &'a str,
    path: Vec<String>,
    /// Modules declared here that are files.
    files: Vec<Vec<String>>,
}

/// Whether an attribute leaves its item out of what ships.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        Meta::NameValue(_) => false,
    })
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

impl Reader<'_> {
    fn here(&mut self) -> &mut Module {
        self.tree.modules.entry(self.path.clone()).or_default()
    }

    fn module(&mut self, items: &[Item]) {
        let (path, file) = (self.path.clone(), self.file.to_owned());
        let here = self.here();
        (here.path, here.file) = (path, file);
        here.items.extend(items.iter().filter_map(name_of));
        for item in items {
            self.visit_item(item);
        }
    }

    fn written(&self, names: Vec<String>) -> Written {
        let mut base = match names.first().map(String::as_str) {
            Some("crate" | "dnstrail") => Vec::new(),
            Some("self" | "super") => self.path.clone(),
            _ => return Written::Bare(names),
        };
        for name in names {
            match name.as_str() {
                "crate" | "dnstrail" | "self" => {}
                "super" => drop(base.pop()),
                _ => base.push(name),
            }
        }
        Written::Absolute(base)
    }

    fn path(&mut self, names: Vec<String>) {
        let is_plain = names.len() < 2 || names.first().is_some_and(|name| name == "Self");
        if !is_plain {
            let written = self.written(names);
            self.here().uses.insert(written);
        }
    }

    fn import(&mut self, names: Vec<String>, name: Option<String>) {
        let written = self.written(names);
        let here = self.here();
        here.uses.insert(written.clone());
        match name {
            Some(name) => drop(here.imports.insert(name, written)),
            None => here.globs.push(written),
        }
    }

    fn imports(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.imports(&with(&path.ident), &path.tree),
            UseTree::Name(name) if name.ident == "self" => self.import(before.to_vec(), before.last().cloned()),
            UseTree::Name(name) => self.import(with(&name.ident), Some(name.ident.to_string())),
            UseTree::Rename(name) if name.ident == "self" => {
                self.import(before.to_vec(), Some(name.rename.to_string()));
            }
            UseTree::Rename(name) => self.import(with(&name.ident), Some(name.rename.to_string())),
            UseTree::Glob(_) => self.import(before.to_vec(), None),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.imports(before, tree)),
        }
    }

    /// The modules that `kinds!` declares: each name in it is one.
    fn kinds(&mut self, tokens: TokenStream) {
        for token in tokens {
            if let TokenTree::Ident(name) = token {
                self.files.push([&self.path[..], &[name.to_string()]].concat());
            }
        }
    }

    /// Paths inside a macro's arguments, which have no grammar of their own: names joined by `::`.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut names: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.path(std::mem::take(&mut names));
                    }
                    names.push(name.to_string());
                    colons = 0;
                }
                other => {
                    self.path(std::mem::take(&mut names));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.path(names);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes_of(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.path.push(item.ident.to_string());
        match &item.content {
            Some((_, items)) => self.module(items),
            None => self.files.push(self.path.clone()),
        }
        self.path.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.imports(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.visit_path(&called.path);
        if called.path.is_ident("kinds") {
            self.kinds(called.tokens.clone());
        }
        self.tokens(called.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            Meta::Path(path) => self.visit_path(path),
            Meta::List(list) => {
                self.visit_path(&list.path);
                self.tokens(list.tokens.clone());
            }
            Meta::NameValue(_) => {}
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

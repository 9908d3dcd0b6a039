//! How long functions are, and where unsafe code stands.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, ExprUnsafe, ImplItemFn, ItemFn, ItemImpl, Safety, Signature, TraitItemFn};

/// The functions of one Rust file, and its unsafe code.
#[derive(Debug, Default)]
pub struct Shape {
    /// Name and lines of each function, from its signature to its last brace.
    pub functions: Vec<(String, usize)>,
    pub has_unsafe_code: bool,
}

impl Shape {
    pub fn of(text: &str) -> Self {
        let mut shape = Self::default();
        shape.visit_file(&syn::parse_file(text).unwrap_or_else(|error| panic!("{error}: {text}")));
        shape
    }

    fn function(&mut self, signature: &Signature, block: &Block) {
        let lines = block.span().end().line - signature.span().start().line + 1;
        self.functions.push((signature.ident.to_string(), lines));
        self.has_unsafe_code |= matches!(signature.safety, Safety::Unsafe(_));
    }
}

impl<'ast> Visit<'ast> for Shape {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_expr_unsafe(&mut self, block: &'ast ExprUnsafe) {
        self.has_unsafe_code = true;
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        self.has_unsafe_code |= item.unsafety.is_some();
        visit::visit_item_impl(self, item);
    }
}

/// Name and lines of each function of a C file. As everywhere in `probes/`, the first and the last brace of a
/// function stand alone at the margin.
pub fn functions_of_c(text: &str) -> Vec<(String, usize)> {
    let mut functions = Vec::new();
    let mut open: Option<(String, usize)> = None;
    let mut header = "";
    for (number, line) in text.lines().enumerate() {
        if let Some((name, start)) = open.take_if(|_| line == "}") {
            functions.push((name, number - start + 1));
        } else if line == "{" {
            let name = header.split('(').next().and_then(|start| start.rsplit([' ', '*']).next());
            open = Some((name.unwrap_or_default().to_owned(), number));
        } else if line.contains('(') && line.starts_with(|first: char| first.is_ascii_alphabetic()) {
            header = line;
        }
    }
    functions
}

//! From the tree of elements to a list of processes.

use super::{
    LaunchError,
    subst::{self, Surroundings},
    xml::{self, At, Element},
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Deepest chain of includes.
const MAX_INCLUDES: usize = 16;

/// How a process is named and found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// `<node pkg exec>`.
    Node {
        /// Package.
        package: String,
        /// Executable.
        executable: String,
    },
    /// `<executable cmd>`: program and arguments.
    Command(Vec<String>),
}

/// A process to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Label for output and log files; the node's name, or that of the executable.
    pub label: String,
    /// What is started.
    pub what: What,
    /// Arguments after the program: those of `args`, then `--ros-args …`.
    pub arguments: Vec<String>,
    /// Environment added.
    pub env: BTreeMap<String, String>,
    /// Ends the launch when it ends.
    pub on_exit_shutdown: bool,
    /// Place in the launch file.
    pub at: At,
}

/// A declared argument, for `--show`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Name.
    pub name: String,
    /// Default as written, when there is one.
    pub default: Option<String>,
    /// For people.
    pub description: String,
}

/// A launch file worked out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// Processes in the file's order.
    pub processes: Vec<Process>,
    /// Arguments of the outermost file.
    pub arguments: Vec<Argument>,
}

#[derive(Clone)]
struct Scope {
    variables: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    namespace: String,
}

/// Works a launch file out.
///
/// # Errors
/// [`LaunchError`] with file and line of what cannot be run.
pub fn evaluate(
    path: &Path,
    given: &BTreeMap<String, String>,
    surroundings: &dyn Surroundings,
) -> Result<Launch, LaunchError> {
    let root = xml::read(path)?;
    let mut scope = Scope {
        variables: given.clone(),
        env: BTreeMap::new(),
        namespace: String::new(),
    };
    let mut launch = Launch {
        arguments: arguments_of(&root)?,
        ..Launch::default()
    };
    if let Some(name) = given
        .keys()
        .find(|name| !launch.arguments.iter().any(|a| &a.name == *name))
    {
        let known: Vec<_> = launch.arguments.iter().map(|a| a.name.as_str()).collect();
        return Err(LaunchError::Argument {
            file: path.to_path_buf(),
            name: name.clone(),
            known: known.join(", "),
        });
    }
    let evaluator = Evaluator { surroundings };
    evaluator.children(&root, &mut scope, &mut launch.processes, 0)?;
    Ok(launch)
}

fn arguments_of(root: &Element) -> Result<Vec<Argument>, LaunchError> {
    root.children
        .iter()
        .filter(|e| e.tag == "arg")
        .map(|e| {
            Ok(Argument {
                name: e.required("name")?.to_string(),
                default: e.attribute("default").map(str::to_string),
                description: e.attribute("description").unwrap_or_default().to_string(),
            })
        })
        .collect()
}

struct Evaluator<'a> {
    surroundings: &'a dyn Surroundings,
}

impl Evaluator<'_> {
    fn text(&self, text: &str, at: &At, scope: &Scope) -> Result<String, LaunchError> {
        subst::substitute(text, at, &scope.variables, &scope.env, self.surroundings)
    }

    fn required(&self, e: &Element, name: &str, scope: &Scope) -> Result<String, LaunchError> {
        self.text(e.required(name)?, &e.at, scope)
    }

    fn optional(
        &self,
        e: &Element,
        name: &str,
        scope: &Scope,
    ) -> Result<Option<String>, LaunchError> {
        e.attribute(name)
            .map(|t| self.text(t, &e.at, scope))
            .transpose()
    }

    /// Whether `if` and `unless` let the element be.
    fn wanted(&self, e: &Element, scope: &Scope) -> Result<bool, LaunchError> {
        let value = |name: &str| -> Result<Option<bool>, LaunchError> {
            self.optional(e, name, scope)?
                .map(|t| boolean(&t, name, &e.at))
                .transpose()
        };
        match (value("if")?, value("unless")?) {
            (Some(_), Some(_)) => Err(e.at.error(format!(
                "<{}> has both \"if\" and \"unless\", expected one",
                e.tag
            ))),
            (Some(v), None) => Ok(v),
            (None, Some(v)) => Ok(!v),
            (None, None) => Ok(true),
        }
    }

    fn children(
        &self,
        parent: &Element,
        scope: &mut Scope,
        out: &mut Vec<Process>,
        depth: usize,
    ) -> Result<(), LaunchError> {
        if parent.tag == "launch" {
            parent.only(&["version"])?;
        }
        for e in &parent.children {
            match e.tag.as_str() {
                "arg" => self.arg(e, scope)?,
                "let" => {
                    e.only(&["name", "value", "if", "unless"])?;
                    e.no_children()?;
                    if self.wanted(e, scope)? {
                        let name = self.required(e, "name", scope)?;
                        let value = self.required(e, "value", scope)?;
                        scope.variables.insert(name, value);
                    }
                }
                "set_env" => {
                    e.only(&["name", "value", "if", "unless"])?;
                    e.no_children()?;
                    if self.wanted(e, scope)? {
                        let name = self.required(e, "name", scope)?;
                        let value = self.required(e, "value", scope)?;
                        scope.env.insert(name, value);
                    }
                }
                "push-ros-namespace" | "push_ros_namespace" => {
                    e.only(&["namespace", "if", "unless"])?;
                    e.no_children()?;
                    if self.wanted(e, scope)? {
                        let name = self.required(e, "namespace", scope)?;
                        scope.namespace = joined(&scope.namespace, &name);
                    }
                }
                "group" => {
                    e.only(&["scoped", "if", "unless"])?;
                    if self.wanted(e, scope)? {
                        let scoped = match self.optional(e, "scoped", scope)? {
                            Some(t) => boolean(&t, "scoped", &e.at)?,
                            None => true,
                        };
                        if scoped {
                            self.children(e, &mut scope.clone(), out, depth)?;
                        } else {
                            self.children(e, scope, out, depth)?;
                        }
                    }
                }
                "include" => self.include(e, scope, out, depth)?,
                "node" => out.extend(self.node(e, scope)?),
                "executable" => out.extend(self.executable(e, scope)?),
                _ => return Err(e.unknown_in(&parent.tag)),
            }
        }
        Ok(())
    }

    fn arg(&self, e: &Element, scope: &mut Scope) -> Result<(), LaunchError> {
        e.only(&["name", "default", "description", "if", "unless"])?;
        e.no_children()?;
        if !self.wanted(e, scope)? {
            return Ok(());
        }
        let name = self.required(e, "name", scope)?;
        if scope.variables.contains_key(&name) {
            return Ok(());
        }
        let default = self.optional(e, "default", scope)?.ok_or_else(|| {
            e.at.error(format!(
                "the argument \"{name}\" was not given and has no default; give it with {name}:=VALUE"
            ))
        })?;
        scope.variables.insert(name, default);
        Ok(())
    }

    fn include(
        &self,
        e: &Element,
        scope: &Scope,
        out: &mut Vec<Process>,
        depth: usize,
    ) -> Result<(), LaunchError> {
        e.only(&["file", "if", "unless"])?;
        if !self.wanted(e, scope)? {
            return Ok(());
        }
        if depth >= MAX_INCLUDES {
            return Err(e.at.error(format!(
                "includes are nested deeper than {MAX_INCLUDES}; does a file include itself?"
            )));
        }
        let file = PathBuf::from(self.required(e, "file", scope)?);
        let mut inner = scope.clone();
        for child in &e.children {
            if child.tag != "arg" {
                return Err(child.unknown_in("include"));
            }
            child.only(&["name", "value"])?;
            child.no_children()?;
            inner.variables.insert(
                self.required(child, "name", scope)?,
                self.required(child, "value", scope)?,
            );
        }
        let root = xml::read(&file).map_err(|error| match error {
            LaunchError::Core(source) => {
                e.at.error(format!("cannot include {}: {source}", file.display()))
            }
            other => other,
        })?;
        self.children(&root, &mut inner, out, depth + 1)
    }

    fn node(&self, e: &Element, scope: &Scope) -> Result<Option<Process>, LaunchError> {
        e.only(&[
            "pkg",
            "exec",
            "name",
            "namespace",
            "args",
            "output",
            "respawn",
            "on_exit",
            "if",
            "unless",
        ])?;
        if !self.wanted(e, scope)? {
            return Ok(None);
        }
        let package = self.required(e, "pkg", scope)?;
        let executable = self.required(e, "exec", scope)?;
        let name = self.optional(e, "name", scope)?;
        let mut arguments = self.words(e, "args", scope)?.unwrap_or_default();
        let mut ros: Vec<String> = Vec::new();
        if let Some(name) = &name {
            ros.extend(["-r".into(), format!("__node:={name}")]);
        }
        let mut namespace = scope.namespace.clone();
        if let Some(own) = self.optional(e, "namespace", scope)? {
            namespace = joined(&namespace, &own);
        }
        if !namespace.is_empty() {
            ros.extend(["-r".into(), format!("__ns:={namespace}")]);
        }
        let mut env = scope.env.clone();
        for child in &e.children {
            match child.tag.as_str() {
                "param" => ros.extend(self.param(child, scope)?),
                "remap" => {
                    child.only(&["from", "to", "if", "unless"])?;
                    child.no_children()?;
                    if self.wanted(child, scope)? {
                        let from = self.required(child, "from", scope)?;
                        let to = self.required(child, "to", scope)?;
                        ros.extend(["-r".into(), format!("{from}:={to}")]);
                    }
                }
                "env" => self.env(child, scope, &mut env)?,
                _ => return Err(child.unknown_in("node")),
            }
        }
        if !ros.is_empty() {
            arguments.push("--ros-args".into());
            arguments.extend(ros);
        }
        Ok(Some(Process {
            label: name.unwrap_or_else(|| executable.clone()),
            what: What::Node {
                package,
                executable,
            },
            arguments,
            env,
            on_exit_shutdown: self.ends_all(e, scope)?,
            at: e.at.clone(),
        }))
    }

    fn executable(&self, e: &Element, scope: &Scope) -> Result<Option<Process>, LaunchError> {
        e.only(&[
            "cmd", "name", "output", "respawn", "on_exit", "if", "unless",
        ])?;
        if !self.wanted(e, scope)? {
            return Ok(None);
        }
        let words = self.words(e, "cmd", scope)?.unwrap_or_default();
        let Some(program) = words.first() else {
            return Err(e
                .at
                .error("<executable> has an empty \"cmd\", expected a command"));
        };
        let label = Path::new(program).file_name().map_or_else(
            || program.clone(),
            |name| name.to_string_lossy().into_owned(),
        );
        let mut env = scope.env.clone();
        for child in &e.children {
            match child.tag.as_str() {
                "env" => self.env(child, scope, &mut env)?,
                _ => return Err(child.unknown_in("executable")),
            }
        }
        Ok(Some(Process {
            label: self.optional(e, "name", scope)?.unwrap_or(label),
            what: What::Command(words),
            arguments: Vec::new(),
            env,
            on_exit_shutdown: self.ends_all(e, scope)?,
            at: e.at.clone(),
        }))
    }

    fn words(
        &self,
        e: &Element,
        name: &str,
        scope: &Scope,
    ) -> Result<Option<Vec<String>>, LaunchError> {
        self.optional(e, name, scope)?
            .map(|text| {
                subst::words_of(&text).ok_or_else(|| {
                    e.at.error(format!("\"{name}\" has a quote without its end"))
                })
            })
            .transpose()
    }

    fn env(
        &self,
        e: &Element,
        scope: &Scope,
        env: &mut BTreeMap<String, String>,
    ) -> Result<(), LaunchError> {
        e.only(&["name", "value", "if", "unless"])?;
        e.no_children()?;
        if self.wanted(e, scope)? {
            env.insert(
                self.required(e, "name", scope)?,
                self.required(e, "value", scope)?,
            );
        }
        Ok(())
    }

    /// Checks `output`, `respawn` and `on_exit`; returns whether the end of the process ends all.
    fn ends_all(&self, e: &Element, scope: &Scope) -> Result<bool, LaunchError> {
        if let Some(output) = self.optional(e, "output", scope)?
            && !["screen", "log", "both"].contains(&output.as_str())
        {
            return Err(e.at.error(format!(
                "\"output\" is \"{output}\", expected screen, log or both"
            )));
        }
        if let Some(respawn) = self.optional(e, "respawn", scope)?
            && boolean(&respawn, "respawn", &e.at)?
        {
            return Err(e.at.error(
                "\"respawn\" is true; this launcher does not start a node again, because a rover whose node died has to stay stopped",
            ));
        }
        match self.optional(e, "on_exit", scope)?.as_deref() {
            None => Ok(false),
            Some("shutdown") => Ok(true),
            Some(other) => Err(e
                .at
                .error(format!("\"on_exit\" is \"{other}\", expected shutdown"))),
        }
    }

    fn param(&self, e: &Element, scope: &Scope) -> Result<Vec<String>, LaunchError> {
        e.only(&["name", "value", "type", "from", "if", "unless"])?;
        e.no_children()?;
        if !self.wanted(e, scope)? {
            return Ok(Vec::new());
        }
        if let Some(file) = self.optional(e, "from", scope)? {
            if e.attribute("name").is_some() || e.attribute("value").is_some() {
                return Err(e.at.error(
                    "<param> has \"from\" beside \"name\" or \"value\", expected one or the other",
                ));
            }
            if !Path::new(&file).is_file() {
                return Err(e
                    .at
                    .error(format!("the parameter file {file} is not there")));
            }
            return Ok(vec!["--params-file".into(), file]);
        }
        let name = self.required(e, "name", scope)?;
        let value = self.required(e, "value", scope)?;
        let kind = self.optional(e, "type", scope)?;
        let fits = |ok: bool, expected: &str| {
            if ok {
                Ok(value.clone())
            } else {
                Err(e.at.error(format!(
                    "the parameter \"{name}\" is \"{value}\", expected {expected}"
                )))
            }
        };
        let yaml = match kind.as_deref() {
            None if value.is_empty() => quoted(&value),
            None => value.clone(),
            Some("str") => quoted(&value),
            Some("int") => fits(value.parse::<i64>().is_ok(), "a whole number")?,
            Some("float") => {
                let number = value.parse::<f64>();
                let text = fits(number.is_ok(), "a number")?;
                // "1" would arrive as an integer.
                if text.parse::<i64>().is_ok() {
                    text + ".0"
                } else {
                    text
                }
            }
            Some("bool") => fits(value == "true" || value == "false", "true or false")?,
            Some(other) => {
                return Err(e.at.error(format!(
                    "\"type\" is \"{other}\", expected str, int, float or bool"
                )));
            }
        };
        Ok(vec!["-p".into(), format!("{name}:={yaml}")])
    }
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn boolean(text: &str, name: &str, at: &At) -> Result<bool, LaunchError> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(at.error(format!(
            "\"{name}\" is \"{text}\", expected true, false, 1 or 0"
        ))),
    }
}

/// Joins namespaces as ROS does: an absolute one replaces.
fn joined(outer: &str, inner: &str) -> String {
    let inner = inner.trim_end_matches('/');
    if inner.is_empty() {
        outer.to_string()
    } else if inner.starts_with('/') {
        inner.to_string()
    } else {
        format!("{outer}/{inner}")
    }
}

#[cfg(test)]
mod tests;

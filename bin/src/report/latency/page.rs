//! The page of a report: one file, with its figures and the script that draws them in it.

const HEAD: &str = include_str!("page_head.html");
const SCRIPT: &str = include_str!("page.js");

/// A page of one report or several, each as its JSON. It asks nothing of the network.
#[must_use]
pub fn page(title: &str, reports: &[String]) -> String {
    let title = title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    // Nothing within the figures may end the element that they are in; `<` is written so only in strings.
    let data = format!("[{}]", reports.join(",")).replace('<', "\\u003c");
    format!(
        "{}<script type=\"application/json\" id=\"data\">{data}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        HEAD.replace("TITLE", &title)
    )
}
